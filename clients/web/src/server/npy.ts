/** Reads `.npy` files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */

export type Numbers =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

export interface NumericArray {
  /** numpy's name of the type as written, `<f4`. */
  descr: string;
  shape: number[];
  /** In C order. Float16 becomes Float32, booleans 0 and 1. */
  data: Numbers;
}

const READERS: Record<string, new (buffer: ArrayBuffer) => Numbers> = {
  b1: Uint8Array,
  u1: Uint8Array,
  i1: Int8Array,
  u2: Uint16Array,
  i2: Int16Array,
  u4: Uint32Array,
  i4: Int32Array,
  u8: BigUint64Array,
  i8: BigInt64Array,
  f4: Float32Array,
  f8: Float64Array,
};

export function parseNpy(buffer: ArrayBuffer): NumericArray {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  if (bytes[0] !== 0x93 || String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY")
    throw new Error("not a .npy file");
  const wide = (bytes[6] ?? 1) >= 2;
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const descr = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  if (descr === undefined || shape === undefined || header.includes("'fortran_order': True"))
    throw new Error(`a .npy header that is not understood: ${header.trim()}`);
  const extents = shape.split(",").map((word) => word.trim());
  return {
    descr,
    shape: extents.filter((word) => word !== "").map(Number),
    data: numbersOf(descr, buffer.slice(start + length)),
  };
}

/** Numbers of a numpy type from their bytes. */
export function numbersOf(descr: string, bytes: ArrayBuffer): Numbers {
  const kind = descr.replace(/^[<>|=]/, "");
  const size = Number(kind.slice(1));
  const native = descr.startsWith(">") && size > 1 ? swapped(bytes, size) : bytes;
  if (kind === "f2") return Float32Array.from(new Uint16Array(native), halfToNumber);
  const reader = READERS[kind];
  if (reader === undefined) throw new Error(`values of type ${descr} are no plain numbers`);
  return new reader(native);
}

function swapped(bytes: ArrayBuffer, size: number): ArrayBuffer {
  const out = new Uint8Array(bytes.slice(0));
  for (let at = 0; at < out.length; at += size) out.subarray(at, at + size).reverse();
  return out.buffer;
}

/** The number that 16 bits mean (IEEE 754 binary16). */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * 2 ** (exponent - 25) * (1024 + fraction);
}
