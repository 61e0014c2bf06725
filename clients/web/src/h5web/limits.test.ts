import { expect, it } from "vitest";
import { levelForTexture, planeOf } from "./limits";

it("knows what H5Web would draw", () => {
  expect(planeOf([5, 20, 30])).toEqual([20, 30]);
  expect(planeOf([5])).toBeUndefined();
});

it("finds a level that fits the graphics card and the patience of people", () => {
  expect(levelForTexture([2000, 3000], 4, 8192)).toBe(0);
  expect(levelForTexture([20000, 300], 1, 8192)).toBe(2);
  expect(levelForTexture([20000, 20000], 4, 32768)).toBe(3);
});
