/** Types and values of HDF5, as `/meta` and `/slice` tell them in JSON. */

import { halfToNumber } from "./npy";

export interface Type {
  class: string;
  dtype: string | unknown[];
  size?: number;
  encoding?: string;
  length?: number | null;
  base?: Type;
  members?: Record<string, number>;
  fields?: { name: string; type: Type; offset: number }[];
  shape?: number[];
  kind?: string;
}

export interface Value {
  type: Type;
  shape: number[] | null;
  /** Base64 of the elements in C order. */
  data?: string;
  items?: unknown[];
  omitted?: string;
}

export type Cell = number | bigint | boolean | string | null | Cell[] | { [field: string]: Cell };

/** Elements of a value, at most `most` of them. */
export function cellsOf(value: Value, most = 1000): Cell[] {
  if (value.items !== undefined) return value.items.slice(0, most).map(plain);
  if (value.data === undefined || value.shape === null) return [];
  const bytes = Uint8Array.from(atob(value.data), (character) => character.charCodeAt(0));
  const size = sizeOf(value.type);
  const count = Math.min(most, size ? Math.floor(bytes.length / size) : 0);
  const view = new DataView(bytes.buffer);
  return Array.from({ length: count }, (_, i) => cellAt(view, i * size, value.type));
}

/** The only element of a scalar, or of an array of one. */
export function scalarOf(value: Value | undefined): Cell | undefined {
  return value === undefined ? undefined : cellsOf(value, 1)[0];
}

export function textOf(value: Value | undefined): string | undefined {
  const found = scalarOf(value);
  return typeof found === "string" ? found : undefined;
}

export function textsOf(value: Value | undefined): string[] {
  return value === undefined ? [] : cellsOf(value).filter((cell) => typeof cell === "string");
}

/** Bytes of one element. */
export function sizeOf(type: Type): number {
  if (type.class === "array") return (type.shape ?? []).reduce((a, b) => a * b, 1) * (type.base ? sizeOf(type.base) : 0);
  if (type.size !== undefined && type.class !== "array") return type.size;
  return typeof type.dtype === "string" ? Number(type.dtype.replace(/^[<>|=]?[a-zA-Z]/, "").replace(/\[.*/, "")) : 0;
}

/** Whether elements are plain numbers, which can be drawn. */
export function isNumeric(type: Type): boolean {
  return ["integer", "float", "bool", "enum"].includes(type.class);
}

/** The type in words: `float32`, `uint16, big-endian`, `text`, `compound of 3`. */
export function typeName(type: Type): string {
  const descr = typeof type.dtype === "string" ? type.dtype : "";
  const bits = 8 * Number(descr.slice(2));
  switch (type.class) {
    case "integer":
      return `${descr[1] === "u" ? "uint" : "int"}${bits}${descr.startsWith(">") ? ", big-endian" : ""}`;
    case "float":
      return `float${bits}${descr.startsWith(">") ? ", big-endian" : ""}`;
    case "complex":
      return `complex${bits}`;
    case "bool":
      return "boolean";
    case "string":
      return type.length == null ? "text" : `text of ${type.length}`;
    case "enum":
      return `enumeration of ${Object.keys(type.members ?? {}).length}`;
    case "compound":
      return `compound of ${type.fields?.length ?? 0}`;
    case "array":
      return `array ${(type.shape ?? []).join(" × ")} of ${type.base ? typeName(type.base) : "?"}`;
    case "vlen":
      return `lists of ${type.base ? typeName(type.base) : "?"}`;
    default:
      return type.class;
  }
}

/** The element at an offset. */
export function cellAt(view: DataView, at: number, type: Type): Cell {
  switch (type.class) {
    case "bool":
      return view.getUint8(at) !== 0;
    case "enum": {
      const number = type.base ? cellAt(view, at, type.base) : null;
      if (typeof number !== "number" && typeof number !== "bigint") return number;
      return Object.entries(type.members ?? {}).find(([, value]) => String(value) === number.toString())?.[0] ?? number;
    }
    case "string":
      return stringAt(view, at, sizeOf(type), type.encoding);
    case "complex": {
      const half = sizeOf(type) / 2;
      const part = typeof type.dtype === "string" ? `${type.dtype[0] ?? "<"}f${half}` : "<f8";
      return [numberAt(view, at, part), numberAt(view, at + half, part)];
    }
    case "compound":
      return Object.fromEntries((type.fields ?? []).map((f) => [f.name, cellAt(view, at + f.offset, f.type)]));
    case "array": {
      const base = type.base;
      if (!base) return null;
      const count = (type.shape ?? []).reduce((a, b) => a * b, 1);
      return Array.from({ length: count }, (_, i) => cellAt(view, at + i * sizeOf(base), base));
    }
    case "integer":
    case "float":
    case "bitfield":
    case "time":
      return typeof type.dtype === "string" ? numberAt(view, at, type.dtype) : null;
    default:
      return hexAt(view, at, sizeOf(type));
  }
}

function numberAt(view: DataView, at: number, descr: string): Cell {
  const little = !descr.startsWith(">");
  switch (descr.slice(1)) {
    case "u1":
      return view.getUint8(at);
    case "i1":
      return view.getInt8(at);
    case "u2":
      return view.getUint16(at, little);
    case "i2":
      return view.getInt16(at, little);
    case "u4":
      return view.getUint32(at, little);
    case "i4":
      return view.getInt32(at, little);
    case "u8":
      return view.getBigUint64(at, little);
    case "i8":
      return view.getBigInt64(at, little);
    case "f4":
      return view.getFloat32(at, little);
    case "f8":
      return view.getFloat64(at, little);
    case "f2":
      return halfToNumber(view.getUint16(at, little));
    default:
      return hexAt(view, at, Number(descr.slice(2)) || 0);
  }
}

function stringAt(view: DataView, at: number, size: number, encoding?: string): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, size);
  const end = bytes.indexOf(0);
  const text = new TextDecoder(encoding === "ascii" ? "latin1" : "utf-8").decode(end < 0 ? bytes : bytes.subarray(0, end));
  return text.trimEnd();
}

function hexAt(view: DataView, at: number, size: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, Math.min(size, 32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ") + (size > 32 ? " …" : "");
}

function plain(item: unknown): Cell {
  if (item === null || typeof item === "number" || typeof item === "boolean" || typeof item === "string") return item;
  if (Array.isArray(item)) return item.map(plain);
  if (typeof item === "object")
    return Object.fromEntries(Object.entries(item).map(([key, value]) => [key, plain(value)]));
  return null;
}

