import { expect, it } from "vitest";
import { flat, parseBand, strongest } from "./band";
import { csvOf, tiffOf } from "./files";

it("reads bands from the URL", () => {
  expect(parseBand("3,7", 10)).toEqual([3, 7]);
  expect(["7,3", "3,11", "3", "", undefined, "1,2,3", "a,b"].map((text) => parseBand(text, 10))).toEqual(Array(7).fill(undefined));
});

it("finds the strongest line", () => {
  expect(strongest([0, 1, 5, 9, 10, 6, 2, 8])).toEqual([3, 6]);
  expect(strongest([0, 0])).toEqual([0, 1]);
});

it("takes nested lists for what they are", () => {
  expect(flat([[1, 2], [null, "Infinity"]])).toEqual([1, 2, NaN, Infinity]);
});

it("writes tables and pictures", () => {
  expect(csvOf([1, 2.5, 3, 4], 2)).toBe("1,2.5\n3,4\n");
  const view = new DataView(tiffOf(Float32Array.of(1, 2, 3, 4, 5, 6.5), 3, 2));
  expect([view.getUint16(0), view.getUint16(2, true)]).toEqual([0x4949, 42]);
  expect(view.getFloat32(view.byteLength - 4, true)).toBe(6.5);
});
