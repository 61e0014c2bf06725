/** Numbers and sizes for people. */

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit] ?? ""}`;
}

export function formatDate(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** The shortest text that means this float32, as numpy prints it. */
export function formatFloat32(value: number): string {
  if (!Number.isFinite(value)) return formatNumber(value);
  for (let digits = 6; digits < 9; digits += 1) {
    const found = Number(value.toPrecision(digits));
    if (Math.fround(found) === value) return String(found);
  }
  return String(Number(value.toPrecision(9)));
}

export function formatNumber(value: number | bigint): string {
  if (typeof value === "bigint") return value.toString();
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return String(value);
}

/** A number for an axis or a label: some digits, no noise. */
export function formatShort(value: number, digits = 6): string {
  if (!Number.isFinite(value)) return formatNumber(value);
  return String(Number(value.toPrecision(digits)));
}

export function formatCount(value: number): string {
  return value.toLocaleString("en-GB").replaceAll(",", "\u202f");
}

export function formatShape(shape: readonly number[] | null): string {
  if (shape === null) return "empty";
  return shape.length === 0 ? "scalar" : shape.join(" × ");
}
