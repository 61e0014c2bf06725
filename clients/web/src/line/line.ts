/** Lines of any length as the server tells them: as many points as a plot has room for. */

import { askJson, urlOf } from "../server/fetch";
import type { Ruler } from "../image/plane";

export interface LineInfo {
  shape: number[];
  dtype: string;
  axis: number;
  index: number[];
  names: string[];
  rulers: (Ruler | null)[];
  start: number;
  stop: number;
  /** Elements of each point. */
  factor: number;
  min: (number | string | null)[];
  /** Null if each point is one element: `min` has them. */
  max: (number | string | null)[] | null;
  version: string;
}

export interface LinePart {
  axis: string;
  index: string;
  start: number;
  stop: number | undefined;
  points: number;
}

export function lineOf(path: readonly string[], part: LinePart, signal?: AbortSignal): Promise<LineInfo> {
  const { axis, index, start, stop, points } = part;
  const parameters = { axis, index, start: String(start), stop: stop === undefined ? "" : String(stop), points: String(points) };
  return askJson(urlOf("line", path, parameters), signal);
}

/** What is drawn: one point for each element, or up and down through the extremes of many. */
export function curveOf(line: LineInfo, at: (element: number) => number): { x: number[]; y: number[] } {
  const x: number[] = [];
  const y: number[] = [];
  line.min.forEach((low, i) => {
    const first = line.start + i * line.factor;
    const last = Math.min(first + line.factor, line.stop) - 1;
    const high = line.max?.[i];
    x.push(at((first + last) / 2));
    y.push(number(low));
    if (high === undefined || high === low) return;
    x.push(at((first + last) / 2));
    y.push(number(high));
  });
  return { x, y };
}

/** Elements of a point, if so many elements are to be seen in so many points. */
export function factorFor(elements: number, points: number): number {
  return 2 ** Math.max(0, Math.ceil(Math.log2(elements / points)));
}

/** The part of a line to ask for: what is seen and half as much on either side, in steps, so that little moves ask nothing. */
export function partAround(from: number, to: number, length: number): [number, number] {
  const step = 2 ** Math.ceil(Math.log2(Math.max(to - from, 16))) / 2;
  const start = Math.max(0, Math.floor(from / step - 1) * step);
  const stop = Math.min(length, Math.ceil(to / step + 1) * step);
  return [start, stop];
}

/** Least and greatest of the points in view. */
export function rangeIn(curve: { x: number[]; y: number[] }, from: number, to: number): [number, number] | undefined {
  let low = Infinity;
  let high = -Infinity;
  curve.x.forEach((x, i) => {
    const y = curve.y[i] ?? NaN;
    if (x < from || x > to || !Number.isFinite(y)) return;
    low = Math.min(low, y);
    high = Math.max(high, y);
  });
  return low <= high ? [low, high] : undefined;
}

function number(value: number | string | null): number {
  return value === null ? NaN : Number(value);
}
