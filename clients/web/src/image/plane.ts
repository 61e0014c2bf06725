/** A plane of a dataset and its levels, as `/tiles/.../info.json` tells them; and what its axes say. */

import { askJson, urlOf } from "../server/fetch";

export interface Level {
  level: number;
  height: number;
  width: number;
  rows: number;
  columns: number;
  factor: number;
  exact: boolean;
}

export interface Ruler {
  unit: string;
  start?: number;
  step?: number;
  values?: (number | null)[];
}

export interface PlaneInfo {
  shape: number[];
  dtype: string;
  method: string;
  axes: { rows: number; columns: number; names: string[]; rulers: (Ruler | null)[] };
  index: number[];
  levels: Level[];
  window: { start: number; end: number; min: number; max: number } | null;
  version: string;
}

/** What is drawn: words of the URL, empty for the defaults. */
export interface Wish {
  axes: string;
  index: string;
  method: string;
}

export const TILE = 512;

export function planeInfo(path: readonly string[], wish: Wish, signal?: AbortSignal): Promise<PlaneInfo> {
  return askJson(urlOf("tiles", [...path, "info.json"], { ...wish, tile: String(TILE) }), signal);
}

/** An axis that is drawn: pixel `i` covers the numbers from `i` to `i + 1`, which are values from `from` to `to`. */
export interface DrawnAxis {
  extent: number;
  label: string;
  /** The value at the outer edge of the first and of the last pixel. */
  from: number;
  to: number;
  isIndex: boolean;
}

export function drawnAxis(info: PlaneInfo, axis: number, names: readonly string[] = []): DrawnAxis {
  const extent = info.shape[axis] ?? 1;
  const ruler = info.axes.rulers[axis];
  const name = axisName(info, axis, names);
  if (ruler?.start === undefined || ruler.step === undefined)
    return { extent, label: name, from: 0, to: extent, isIndex: true };
  const from = ruler.start - ruler.step / 2;
  return { extent, label: withUnit(name, ruler.unit), from, to: from + ruler.step * extent, isIndex: false };
}

interface Named {
  shape: number[];
  axes: { names: string[] };
}

/** What an axis is called: as its group says, or by its dimension; nothing if nobody named it. */
export function axisName(info: Named, axis: number, names: readonly string[] = []): string {
  const told = names.length === info.shape.length ? names[axis] : undefined;
  if (told && told !== ".") return told;
  const own = info.axes.names[axis] ?? "";
  return /^(phony_)?dim_\d+$/.test(own) ? "" : own;
}

/** Value of an axis at an element: its coordinate with its unit, or nothing if it has none. */
export function valueAt(ruler: Ruler | null | undefined, at: number): string {
  if (!ruler) return "";
  const value =
    ruler.start !== undefined && ruler.step !== undefined ? ruler.start + ruler.step * at : (ruler.values?.[at] ?? null);
  return value === null ? "" : withUnit(String(Number(value.toPrecision(7))), ruler.unit, " ");
}

export function toValue(axis: DrawnAxis, position: number): number {
  return axis.from + ((axis.to - axis.from) / axis.extent) * position;
}

export function toPosition(axis: DrawnAxis, value: number): number {
  return ((value - axis.from) / (axis.to - axis.from)) * axis.extent;
}

/** The aspect that `VisCanvas` is to keep: equal lengths, if both axes have the same unit, else square pixels. */
export function aspectOf(info: PlaneInfo, x: DrawnAxis, y: DrawnAxis): number | "equal" {
  const [rx, ry] = [info.axes.rulers[info.axes.columns], info.axes.rulers[info.axes.rows]];
  if ((x.isIndex && y.isIndex) || (!x.isIndex && !y.isIndex && rx?.unit === ry?.unit)) return "equal";
  return Math.abs(((x.to - x.from) / (y.to - y.from)) * (y.extent / x.extent));
}

function withUnit(name: string, unit: string, between?: string): string {
  if (!unit) return name;
  if (between !== undefined) return `${name}${between}${unit}`;
  return name ? `${name} (${unit})` : unit;
}
