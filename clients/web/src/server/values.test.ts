import { describe, expect, it } from "vitest";
import { cellsOf, scalarOf, sizeOf, textOf, type Type, typeName } from "./values";

const base64 = (bytes: ArrayBufferLike) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const INT: Type = { class: "integer", dtype: "<i4", size: 4 };

describe("values", () => {
  it("of numbers keep every digit", () => {
    const data = base64(new BigInt64Array([2n ** 62n + 1n, -1n]).buffer);
    expect(cellsOf({ type: { class: "integer", dtype: "<i8", size: 8 }, shape: [2], data })).toEqual([
      4611686018427387905n,
      -1n,
    ]);
    const big = base64(new Uint8Array([0, 0, 1, 0]).buffer);
    expect(scalarOf({ type: { class: "integer", dtype: ">i4", size: 4 }, shape: [], data: big })).toBe(256);
  });

  it("of text end at NUL and without padding", () => {
    const type: Type = { class: "string", dtype: "|S6", size: 6, length: 6, encoding: "utf-8" };
    expect(textOf({ type, shape: [], data: btoa("ab  \0\0") })).toBe("ab");
    expect(textOf({ type: { class: "string", dtype: "|O" }, shape: [], items: ["é"] })).toBe("é");
    expect(textOf({ type: INT, shape: [], data: base64(new Int32Array([1]).buffer) })).toBeUndefined();
  });

  it("of compounds and enumerations are taken apart", () => {
    const colour: Type = { class: "enum", dtype: "|u1", size: 1, base: { class: "integer", dtype: "|u1" }, members: { RED: 2 } };
    const type: Type = {
      class: "compound",
      dtype: [],
      size: 8,
      fields: [
        { name: "n", type: INT, offset: 4 },
        { name: "c", type: colour, offset: 0 },
      ],
    };
    const data = base64(new Uint8Array([2, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 6, 0, 0, 0]).buffer);
    expect(cellsOf({ type, shape: [2], data })).toEqual([
      { n: 5, c: "RED" },
      { n: 6, c: 9 },
    ]);
    expect(cellsOf({ type, shape: [2], data }, 1)).toHaveLength(1);
  });

  it("that are not given are none", () => {
    expect(cellsOf({ type: INT, shape: [9], omitted: "too large" })).toEqual([]);
    expect(cellsOf({ type: INT, shape: null })).toEqual([]);
  });
});

it("calls types what people call them", () => {
  expect(typeName(INT)).toBe("int32");
  expect(typeName({ class: "float", dtype: ">f8" })).toBe("float64, big-endian");
  expect(typeName({ class: "string", dtype: "|O", length: null })).toBe("text");
  expect(sizeOf({ class: "array", dtype: "<f4", shape: [2, 3], base: { class: "float", dtype: "<f4" } })).toBe(24);
});
