import { describe, expect, it } from "vitest";
import { around, histogramOf, paletteOf, rgbOf, SCALES, scaled, unscaled, usable } from "./colour";

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

it("counts values in a range", () => {
  const values = new Float32Array([0, 0.05, 0.95, 0.999, 1, 9, -3e38]);
  const { counts, edges } = histogramOf([values], [0, 1], "linear", (v) => v > -1e38, 10);
  expect(counts).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
  expect(edges).toHaveLength(11);
});

it("finds a range around windows", () => {
  expect(around([0, 10], [5, 20], "linear")).toEqual([-2, 22]);
  const [low, high] = around([1, 100], [1, 1000], "log");
  expect(Math.log10(low)).toBeCloseTo(-0.3);
  expect(Math.log10(high)).toBeCloseTo(3.3);
});
