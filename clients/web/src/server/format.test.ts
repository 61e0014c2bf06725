import { expect, it } from "vitest";
import { formatFloat32, formatNumber, formatShape, formatShort, formatSize } from "./format";

it("gives a float32 the digits it has", () => {
  expect(formatFloat32(Math.fround(0.1))).toBe("0.1");
  expect(formatFloat32(Math.fround(16777216))).toBe("16777216");
  expect(formatFloat32(Math.fround(1 / 3))).toBe("0.33333334");
  for (let i = 1; i < 1000; i += 1) {
    const value = Math.fround(Math.sqrt(i) * 1e5);
    expect(Math.fround(Number(formatFloat32(value)))).toBe(value);
  }
});

it("says what is no number", () => {
  expect([NaN, Infinity, -Infinity, 2n ** 63n].map(formatNumber)).toEqual(["NaN", "∞", "−∞", "9223372036854775808"]);
});

it("rounds for people", () => {
  expect(formatShort(0.1 + 0.2)).toBe("0.3");
  expect(formatSize(512)).toBe("512 bytes");
  expect(formatSize(1536)).toBe("1.5 KiB");
  expect(formatSize(300 * 2 ** 20)).toBe("300 MiB");
  expect([null, [], [3, 4]].map(formatShape)).toEqual(["empty", "scalar", "3 × 4"]);
});
