import { expect, it } from "vitest";
import type { DatasetNode } from "../server/meta";
import { cellsOfPage, layoutOf, pageSelection } from "./table";

const dataset = (shape: number[], fields?: string[]): DatasetNode => ({
  kind: "dataset",
  attributes: {},
  type: fields
    ? { class: "compound", dtype: [], fields: fields.map((name) => ({ name, offset: 0, type: { class: "float", dtype: "<f4" } })) }
    : { class: "float", dtype: "<f4" },
  shape,
  layout: "contiguous",
  chunks: null,
  filters: [],
  stored: null,
  dims: [],
});

it("lays out records by field, others by column", () => {
  expect(layoutOf(dataset([50], ["x", "y"]))).toMatchObject({ columns: ["x", "y"], rows: 50 });
  expect(layoutOf(dataset([9, 3]))).toMatchObject({ columns: ["0", "1", "2"], rows: 9 });
  expect(layoutOf(dataset([9]))).toMatchObject({ columns: ["value"], rows: 9 });
});

it("asks for a page", () => {
  expect(pageSelection([1000], [], 200, false)).toBe("200:400");
  expect(pageSelection([4, 1000, 30], [3], 0, false)).toBe("3,0:200,0:200");
  expect(pageSelection([1000, 7], [2], 0, true)).toBe("0:200,2");
  expect(pageSelection([], [], 0, false)).toBe("");
});

it("takes answers apart", () => {
  const records = layoutOf(dataset([2], ["x", "y"]));
  expect(cellsOfPage([[1, 2], [3, 4]], records)).toEqual([[1, 2], [3, 4]]);
  expect(cellsOfPage([{ x: 1, y: 2 }], records)).toEqual([[1, 2]]);
  expect(cellsOfPage([5, 6], layoutOf(dataset([2])))).toEqual([[5], [6]]);
});
