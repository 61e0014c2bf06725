import { describe, expect, it } from "vitest";
import { curveOf, factorFor, type LineInfo, partAround, rangeIn } from "./line";

const line = (change: Partial<LineInfo>): LineInfo => ({
  shape: [10],
  dtype: "float64",
  axis: 0,
  index: [],
  names: ["x"],
  rulers: [null],
  start: 0,
  stop: 10,
  factor: 1,
  min: [],
  max: null,
  version: "",
  ...change,
});

describe("a curve", () => {
  it("of elements has one point for each", () => {
    expect(curveOf(line({ start: 4, min: [1, null, "Infinity"] }), (i) => i * 10)).toEqual({
      x: [40, 50, 60],
      y: [1, NaN, Infinity],
    });
  });

  it("of extremes goes up and down in the middle of what it stands for", () => {
    const found = curveOf(line({ factor: 4, min: [1, 2, 3], max: [5, 2, 9] }), (i) => i);
    expect(found.x).toEqual([1.5, 1.5, 5.5, 8.5, 8.5]);
    expect(found.y).toEqual([1, 5, 2, 3, 9]);
  });
});

it("asks for what is seen and more, and the same after a little move", () => {
  const [start, stop] = partAround(1000, 1900, 100_000);
  expect(start).toBeLessThanOrEqual(500);
  expect(stop).toBeGreaterThanOrEqual(2400);
  expect(partAround(1010, 1910, 100_000)).toEqual([start, stop]);
  expect(partAround(0, 10, 10)).toEqual([0, 10]);
});

it("knows the extremes in view", () => {
  const curve = { x: [0, 1, 2, 3], y: [9, NaN, -1, 4] };
  expect(rangeIn(curve, 1, 3)).toEqual([-1, 4]);
  expect(rangeIn(curve, 1, 1)).toBeUndefined();
});

it("joins as many elements as there are too many", () => {
  expect([10, 2000, 2001, 4000, 5_000_000].map((n) => factorFor(n, 2000))).toEqual([1, 1, 2, 2, 4096]);
});
