import { describe, expect, it } from "vitest";
import { halfToNumber, numbersOf, parseNpy } from "./npy";

function file(descr: string, shape: string, body: ArrayBufferView): ArrayBuffer {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`.padEnd(117) + "\n";
  const out = new Uint8Array(10 + header.length + body.byteLength);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  out.set(new TextEncoder().encode(header), 10);
  out.set(new Uint8Array(body.buffer, body.byteOffset, body.byteLength), 10 + header.length);
  return out.buffer;
}

describe(".npy files", () => {
  it("are read with their shape and every digit", () => {
    const found = parseNpy(file("<f8", "(2, 2)", new Float64Array([0.1, -3, NaN, 1e300])));
    expect(found.shape).toEqual([2, 2]);
    expect([...found.data]).toEqual([0.1, -3, NaN, 1e300]);
    const big = parseNpy(file("<u8", "(1,)", new BigUint64Array([2n ** 64n - 1n])));
    expect(big.data[0]).toBe(18446744073709551615n);
    expect(parseNpy(file("|u1", "()", new Uint8Array([7]))).shape).toEqual([]);
  });

  it("may be big-endian", () => {
    expect([...numbersOf(">u2", new Uint8Array([1, 2, 3, 4]).buffer)]).toEqual([0x0102, 0x0304]);
  });

  it("of other things are refused", () => {
    expect(() => parseNpy(new TextEncoder().encode("<html>not numpy</html>").buffer)).toThrow("not a .npy file");
    expect(() => numbersOf("|V4", new ArrayBuffer(4))).toThrow("no plain numbers");
  });
});

it("knows half floats: normal, subnormal, infinite, NaN", () => {
  const found = [0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x3555].map(halfToNumber);
  expect(found.slice(0, 5)).toEqual([1, -2, 65504, 2 ** -24, Infinity]);
  expect(found[5]).toBe(0x555 / 4096);
  expect(halfToNumber(0x7e00)).toBeNaN();
});
