import { describe, expect, it } from "vitest";
import { boxOf, levelFor, overlap, tilesIn } from "./levels";
import type { Level } from "./plane";

const levels: Level[] = Array.from({ length: 4 }, (_, level) => {
  const [height, width] = [Math.ceil(3000 / 2 ** level), Math.ceil(5000 / 2 ** level)];
  return { level, height, width, rows: Math.ceil(height / 512), columns: Math.ceil(width / 512), factor: 2 ** level, exact: true };
});
const [finest, , second] = levels as [Level, Level, Level, Level];

describe("levels", () => {
  it("fit the screen: between 0.7 and 1.4 of their pixels on one of its dots", () => {
    expect([0.1, 1, 1.4, 1.5, 2.8, 2.9, 1000].map((dots) => levelFor(levels, dots).level)).toEqual([0, 0, 0, 1, 1, 2, 3]);
  });

  it("are covered by tiles from the middle outwards, and by none beyond the edge", () => {
    const tiles = tilesIn(finest, { left: 0, right: 1600, top: -900, bottom: 600 });
    expect(tiles).toHaveLength(8);
    expect(tiles.every(({ row, column }) => row >= 0 && row <= 1 && column <= 3)).toBe(true);
    const middle = tilesIn(finest, { left: 1000, right: 2600, top: 600, bottom: 1400 });
    expect(middle[0]).toEqual({ level: 0, row: 1, column: 3 });
    expect(tilesIn(finest, { left: 6000, right: 7000, top: 0, bottom: 10 })).toEqual([]);
    expect(tilesIn(second, { left: 0, right: 5000, top: 0, bottom: 3000 })).toHaveLength(6);
  });

  it("have tiles that end where the plane does", () => {
    const box = boxOf({ level: 2, row: 1, column: 2 }, levels);
    expect(box).toEqual({ left: 4096, right: 5000, top: 2048, bottom: 3000 });
    expect(overlap(box, { left: 0, right: 4096, top: 0, bottom: 3000 })).toBe(false);
    expect(overlap(box, { left: 0, right: 4097, top: 0, bottom: 3000 })).toBe(true);
  });
});
