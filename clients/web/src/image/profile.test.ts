import { describe, expect, it } from "vitest";
import type { PlaneInfo } from "./plane";
import { lineLevel, parseLine, parseRegion, percentilesOf, profileOf, tilesAlong } from "./profile";
import type { TileData } from "./tilecache";

const ramp = (row: number, column: number): TileData => {
  const values = new Float32Array(512 * 512);
  for (let i = 0; i < values.length; i += 1)
    values[i] = 1000 * (row * 512 + Math.floor(i / 512)) + column * 512 + (i % 512);
  return { width: 512, height: 512, values, approximate: false };
};

describe("a profile", () => {
  it("has one value for each pixel, across tiles", () => {
    const line = { from: [10.5, 509.5], to: [10.5, 515.5] } as const;
    const { values, distances } = profileOf(line, 0, ({ row, column }) => ramp(row, column), () => true);
    expect(values).toEqual([509, 510, 511, 512, 513, 514, 515].map((column) => 10000 + column));
    expect(distances.at(-1)).toBe(6);
  });

  it("has gaps where nothing is known", () => {
    const line = { from: [-3, 0], to: [3, 0] } as const;
    const { values } = profileOf(line, 0, ({ row, column }) => ramp(row, column), (value) => value !== 2000);
    expect(values.slice(0, 3).every(Number.isNaN)).toBe(true);
    expect(values.slice(3, 5)).toEqual([0, 1000]);
    expect(values[5]).toBeNaN();
  });

  it("of a long line is taken from a coarser level", () => {
    expect(lineLevel({ from: [0, 0], to: [0, 4000] }, 6)).toBe(0);
    expect(lineLevel({ from: [0, 0], to: [0, 20000] }, 6)).toBe(3);
    const info = { levels: [{ rows: 4, columns: 4 }] } as unknown as PlaneInfo;
    expect(tilesAlong({ from: [0, 0], to: [0, 1100] }, info).map((tile) => tile.column)).toEqual([0, 1, 2]);
  });
});

it("finds percentiles of valid numbers", () => {
  const numbers = Float32Array.from({ length: 101 }, (_, i) => i);
  expect(percentilesOf([numbers, new Float32Array([NaN])], [0, 50, 100], (v) => v === v)).toEqual([0, 50, 100]);
  expect(percentilesOf([new Float32Array([NaN])], [50], (v) => v === v)).toBeUndefined();
});

it("reads lines and regions from the URL", () => {
  expect(parseLine("1,2,3,4.5")).toEqual({ from: [1, 2], to: [3, 4.5] });
  expect(parseRegion("1,2,3,4")).toEqual({ top: 1, bottom: 2, left: 3, right: 4 });
  expect([parseLine(""), parseLine("1,2"), parseRegion("1,2,x,4"), parseRegion(undefined)]).toEqual(Array(4).fill(undefined));
});
