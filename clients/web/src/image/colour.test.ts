import { describe, expect, it } from "vitest";
import { histogramOf, paletteOf, rgbOf, SCALES, scaled, unscaled, usable } from "./colour";

describe("scales", () => {
  it("have an inverse", () => {
    for (const scale of SCALES) for (const value of [0.5, 3, 1e5]) expect(unscaled(scaled(value, scale), scale)).toBeCloseTo(value, 6);
    expect(unscaled(scaled(-7, "symlog"), "symlog")).toBeCloseTo(-7);
  });

  it("put what cannot be drawn below everything", () => {
    expect(scaled(0, "log")).toBe(-Infinity);
    expect(scaled(-4, "sqrt")).toBe(0);
  });

  it("get windows they can be drawn with", () => {
    expect(usable([-5, 100], "log", 0.1)).toEqual([0.1, 100]);
    expect(usable([-5, 100], "sqrt", 0.1)).toEqual([0, 100]);
    const [low, high] = usable([3, 3], "linear", 1);
    expect(high).toBeGreaterThan(low);
  });
});

describe("colours", () => {
  it("are read in both forms", () => {
    expect(rgbOf("#ff8001")).toEqual([255, 128, 1]);
    expect(rgbOf("rgb(1, 2, 3)")).toEqual([1, 2, 3]);
  });

  it("run from one end to the other, and back", () => {
    const greys = paletteOf("Greys", false);
    const turned = paletteOf("Greys", true);
    expect([...greys.subarray(0, 4)]).toEqual([...turned.subarray(-4)]);
    expect(paletteOf("Viridis", false)).toHaveLength(1024);
  });
});

it("counts values in a window and beside it", () => {
  const { counts, edges } = histogramOf([new Float32Array([0, 0.05, 0.95, 1, 9, -3e38])], [0, 1], "linear", (v) => v > -1e38, 14);
  expect(counts.reduce((a, b) => a + b)).toBe(4);
  expect(edges[0]).toBeCloseTo(-0.2);
  expect(edges.at(-1)).toBeCloseTo(1.2);
});
