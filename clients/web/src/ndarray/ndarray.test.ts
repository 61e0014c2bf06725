import { createRequire } from "node:module";
import { expect, it } from "vitest";
import ours from "./ndarray";
import { assign } from "./ops";

type Make = typeof ours;
const require = createRequire(import.meta.url);
const theirs = require("ndarray") as Make;
const data = Float32Array.from({ length: 24 }, (_, i) => i);

it("does what the package does", () => {
  const [a, b] = [ours, theirs].map((make) => make(data, [2, 3, 4])) as [ReturnType<Make>, ReturnType<Make>];
  for (const [mine, other] of [
    [a, b],
    [a.pick(1), b.pick(1)],
    [a.pick(null, 2, null), b.pick(null, 2, null)],
    [a.transpose(2, 0, 1), b.transpose(2, 0, 1)],
    [a.pick(null, null, 3).transpose(1, 0), b.pick(null, null, 3).transpose(1, 0)],
    [ours(data), theirs(data)],
  ] as const) {
    expect([mine.shape, mine.stride, mine.offset, mine.size, mine.dtype, mine.dimension]).toEqual([
      [...other.shape],
      [...other.stride],
      other.offset,
      other.size,
      other.dtype,
      other.dimension,
    ]);
    for (const at of [[0, 0, 0], [1, 1, 1], [0, 1, 0]]) expect(mine.get(...at.slice(0, mine.dimension))).toBe(other.get(...at.slice(0, mine.dimension)));
  }
});

it("copies into another order", () => {
  const to = ours(new Float32Array(24), [4, 3, 2]);
  assign(to, ours(data, [2, 3, 4]).transpose(2, 1, 0));
  expect([...(to.data as Float32Array)].slice(0, 6)).toEqual([0, 12, 4, 16, 8, 20]);
});

it("writes where it reads, and holds a single element", () => {
  const array = ours([1, 2, 3, 4], [2, 2]);
  array.set(1, 0, 9);
  expect(array.get(1, 0)).toBe(9);
  expect(ours([5], []).get()).toBe(5);
});
