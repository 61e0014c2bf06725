import { describe, expect, it } from "vitest";
import { type Geometry, geometryOf, radiiOf, resolutionAt, ringsOn } from "./geometry";

const geometry: Geometry = { center: [100, 80], distance: 0.2, pixel: [75e-6, 150e-6], wavelength: 1 };

describe("resolution", () => {
  it("follows Bragg's law", () => {
    // 45 degrees: as far from the beam as from the sample
    const { twoTheta, d, q } = resolutionAt(geometry, 100 + 0.2 / 75e-6, 80);
    expect(twoTheta).toBeCloseTo(45, 10);
    expect(d).toBeCloseTo(1 / (2 * Math.sin(Math.PI / 8)), 10);
    expect(q).toBeCloseTo(4 * Math.PI * Math.sin(Math.PI / 8), 10);
    expect(resolutionAt(geometry, 100, 80 + 0.2 / 150e-6).twoTheta).toBeCloseTo(45, 10);
    expect(resolutionAt(geometry, 100, 80)).toMatchObject({ twoTheta: 0, d: Infinity, q: 0 });
  });

  it("is the same on a ring as beside it", () => {
    const radii = radiiOf(geometry, 2.5) ?? [0, 0];
    for (const angle of [0, 1, 2, 3]) {
      const { d } = resolutionAt(geometry, 100 + radii[0] * Math.cos(angle), 80 + radii[1] * Math.sin(angle));
      expect(d).toBeCloseTo(2.5, 10);
    }
    expect(radiiOf(geometry, 0.5)).toBeUndefined();
    expect(radiiOf(geometry, 0.6)).toBeUndefined();
  });
});

describe("rings", () => {
  it("have round spacings, are on the detector, and are spread over it", () => {
    const rings = ringsOn(geometry, 1000, 1000);
    expect(rings.length).toBeGreaterThanOrEqual(4);
    for (const { d, radii, label } of rings) {
      expect(Number(d.toPrecision(2))).toBe(d);
      expect(resolutionAt(geometry, label[0], label[1]).d).toBeCloseTo(d, 8);
      expect(radii[1]).toBeCloseTo(radii[0] / 2, 8);
      expect(label.every((at) => at > 0 && at < 1000)).toBe(true);
    }
  });

  it("need the whole geometry", () => {
    const told = { beam_center: [1, 2] as [number, number], distance: 1, pixel_size: [1, 1] as [number, number], wavelength: 1, sources: {}, missing: [] };
    expect(geometryOf(told)).toEqual({ center: [1, 2], distance: 1, pixel: [1, 1], wavelength: 1 });
    expect(geometryOf({ ...told, wavelength: null })).toBeUndefined();
    expect(geometryOf(undefined)).toBeUndefined();
  });
});
