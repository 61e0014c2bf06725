/** From values to colours: scales, windows and colour maps, for the shader and for what is computed here. */

import { INTERPOLATORS, ScaleType, type ColorMap, type ColorScaleType } from "@h5web/lib";

export const SCALES = ["linear", "log", "sqrt", "symlog"] as const;
export type Scale = (typeof SCALES)[number];

export const LIB_SCALE: Record<Scale, ColorScaleType> = {
  linear: ScaleType.Linear,
  log: ScaleType.Log,
  sqrt: ScaleType.Sqrt,
  symlog: ScaleType.SymLog,
};

export const COLOUR_MAPS = Object.keys(INTERPOLATORS) as ColorMap[];
export const DEFAULT_MAP: ColorMap = "Viridis";

export type Window = [low: number, high: number];

/** Where a value lies on a scale; what cannot lie there (log of nothing) is below everything. */
export function scaled(value: number, scale: Scale): number {
  switch (scale) {
    case "log":
      return value > 0 ? Math.log(value) : -Infinity;
    case "sqrt":
      return value > 0 ? Math.sqrt(value) : 0;
    case "symlog":
      return Math.sign(value) * Math.log1p(Math.abs(value));
    default:
      return value;
  }
}

export function unscaled(value: number, scale: Scale): number {
  switch (scale) {
    case "log":
      return Math.exp(value);
    case "sqrt":
      return value * value;
    case "symlog":
      return Math.sign(value) * Math.expm1(Math.abs(value));
    default:
      return value;
  }
}

/** A window that a scale can be drawn with: positive for log, and not empty. */
export function usable([low, high]: Window, scale: Scale, leastPositive: number): Window {
  const lowest = scale === "log" ? Math.max(low, Math.min(leastPositive, high > 0 ? high : leastPositive)) : scale === "sqrt" ? Math.max(low, 0) : low;
  if (high > lowest) return [lowest, high];
  return [lowest, lowest + (Math.abs(lowest) * 1e-6 || 1e-6)];
}

/** 256 colours as red, green, blue, alpha. */
export function paletteOf(map: ColorMap, inverted: boolean): Uint8Array<ArrayBuffer> {
  const interpolate = INTERPOLATORS[map];
  const out = new Uint8Array(256 * 4);
  for (let i = 0; i < 256; i += 1) {
    const at = (inverted ? 255 - i : i) / 255;
    out.set([...rgbOf(interpolate(at)), 255], 4 * i);
  }
  return out;
}

/** Red, green and blue of `#rrggbb` or `rgb(r, g, b)`. */
export function rgbOf(text: string): [number, number, number] {
  const hex = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text);
  if (hex) return [parseInt(hex[1] ?? "", 16), parseInt(hex[2] ?? "", 16), parseInt(hex[3] ?? "", 16)];
  const [r = 0, g = 0, b = 0] = (text.match(/[\d.]+/g) ?? []).map(Number);
  return [r, g, b];
}

export interface Counted {
  counts: number[];
  edges: number[];
}

/** How often values fall into bins of equal width on a scale. */
export function histogramOf(
  parts: readonly Float32Array[],
  range: Window,
  scale: Scale,
  valid: (value: number) => boolean,
  bins = 100,
): Counted {
  const [start, stop] = [scaled(range[0], scale), scaled(range[1], scale)];
  const width = (stop - start) / bins;
  const counts = new Array<number>(bins).fill(0);
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const stride = Math.max(1, Math.floor(total / 500_000));
  for (const part of parts)
    for (let i = 0; i < part.length; i += stride) {
      const value = part[i] ?? NaN;
      if (!valid(value)) continue;
      const bin = Math.floor((scaled(value, scale) - start) / width);
      if (bin >= 0 && bin < bins) counts[bin] = (counts[bin] ?? 0) + 1;
    }
  return { counts, edges: Array.from({ length: bins + 1 }, (_, i) => unscaled(start + i * width, scale)) };
}

/** A range that has two windows in it, and a tenth more on either side, on a scale. */
export function around(a: Window, b: Window, scale: Scale): Window {
  const numbers = [...a, ...b].map((value) => scaled(value, scale)).filter(Number.isFinite);
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const margin = (high - low) / 10 || 1;
  const start = scale === "sqrt" ? Math.max(0, low - margin) : low - margin;
  return [unscaled(start, scale), unscaled(high + margin, scale)];
}
