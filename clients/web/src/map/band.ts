/** Bands of a spectrum: channels from (inclusive) to (exclusive). */

import type { Ruler } from "../image/plane";

export type Band = readonly [from: number, to: number];

export function parseBand(text: string | undefined, length: number): Band | undefined {
  const [from, to, ...more] = (text ?? "").split(",").map(Number);
  if (from === undefined || to === undefined || more.length > 0) return undefined;
  return Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= length ? [from, to] : undefined;
}

/** The highest line of a spectrum, down to half its height. */
export function strongest(spectrum: readonly number[]): Band {
  let top = 0;
  spectrum.forEach((value, i) => {
    if (value > (spectrum[top] ?? -Infinity)) top = i;
  });
  const half = (spectrum[top] ?? 0) / 2;
  let [from, to] = [top, top + 1];
  while (from > 0 && (spectrum[from - 1] ?? 0) > half) from -= 1;
  while (to < spectrum.length && (spectrum[to] ?? 0) > half) to += 1;
  return [from, to];
}

/** Numbers of nested lists, row by row. What JSON has no number for is NaN. */
export function flat(values: unknown): number[] {
  if (Array.isArray(values)) return values.flatMap(flat);
  return [typeof values === "number" ? values : Number(values ?? NaN)];
}

/** Where channels are: on their ruler, whether it is regular or not; else their numbers. */
export function energies(ruler: Ruler | null | undefined, length: number): number[] {
  const { start, step, values } = ruler ?? {};
  if (start !== undefined && step !== undefined) return Array.from({ length }, (_, i) => start + step * i);
  const isWhole = values?.length === length && values.every((value) => value !== null);
  return isWhole && isMonotonic(values) ? values : Array.from({ length }, (_, i) => i);
}

function isMonotonic(values: readonly (number | null)[]): values is number[] {
  const up = (values.at(-1) ?? 0) > (values[0] ?? 0);
  return values.every((value, i) => i === 0 || Number(value) > Number(values[i - 1]) === up);
}

/** The channel nearest to an energy, of energies that rise or fall. */
export function nearest(at: readonly number[], energy: number): number {
  let best = 0;
  at.forEach((value, i) => {
    if (Math.abs(value - energy) < Math.abs((at[best] ?? Infinity) - energy)) best = i;
  });
  return best;
}
