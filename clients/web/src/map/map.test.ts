import { expect, it } from "vitest";
import { energies, flat, nearest, parseBand, strongest } from "./band";

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

it("knows where channels are", () => {
  expect(energies({ unit: "keV", start: 1, step: 0.5 }, 3)).toEqual([1, 1.5, 2]);
  expect(energies({ unit: "eV", values: [1, 10, 100] }, 3)).toEqual([1, 10, 100]);
  expect(energies({ unit: "eV", values: [1, null, 100] }, 3)).toEqual([0, 1, 2]);
  expect(energies({ unit: "eV", values: [1, 5, 3] }, 3)).toEqual([0, 1, 2]);
  expect(energies(undefined, 2)).toEqual([0, 1]);
  expect([-5, 4, 60, 1e9].map((energy) => nearest([1, 10, 100], energy))).toEqual([0, 0, 2, 2]);
  expect(nearest([100, 10, 1], 9)).toBe(1);
});
