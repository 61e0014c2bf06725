/** Values along a line and in a box of a plane, from the tiles that are at hand. */

import type { Tile } from "./levels";
import { type PlaneInfo, TILE } from "./plane";
import type { TileData } from "./tilecache";

/** Row and column of two points; pixels of level 0, 0 is the outer edge of the first one. */
export interface Line {
  from: readonly [number, number];
  to: readonly [number, number];
}

export interface Region {
  top: number;
  bottom: number;
  left: number;
  right: number;
}

const MOST_POINTS = 4096;

/** The finest level on which a line has no more points than a plot can use. */
export function lineLevel({ from, to }: Line, levels: number): number {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  return Math.min(levels - 1, Math.max(0, Math.ceil(Math.log2(length / MOST_POINTS))));
}

/** Points along a line, one for each pixel of a level: row and column on that level. */
export function pointsAlong({ from, to }: Line, level: number): { row: number; column: number; distance: number }[] {
  const factor = 2 ** level;
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const count = Math.max(2, Math.round(length / factor) + 1);
  return Array.from({ length: count }, (_, i) => {
    const part = i / (count - 1);
    return {
      row: Math.floor((from[0] + (to[0] - from[0]) * part) / factor),
      column: Math.floor((from[1] + (to[1] - from[1]) * part) / factor),
      distance: length * part,
    };
  });
}

/** Tiles that a line crosses, on its level. */
export function tilesAlong(line: Line | undefined, info: PlaneInfo): Tile[] {
  if (!line) return [];
  const level = lineLevel(line, info.levels.length);
  const { rows = 0, columns = 0 } = info.levels[level] ?? {};
  const found = new Map<string, Tile>();
  for (const point of pointsAlong(line, level)) {
    const [row, column] = [Math.floor(point.row / TILE), Math.floor(point.column / TILE)];
    if (row >= 0 && column >= 0 && row < rows && column < columns) found.set(`${row},${column}`, { level, row, column });
  }
  return [...found.values()];
}

/** Distances and values along a line; what is not at hand, or no measurement, is NaN. */
export function profileOf(line: Line, level: number, get: (tile: Tile) => TileData | undefined, valid: (v: number) => boolean) {
  const points = pointsAlong(line, level);
  const values = points.map(({ row, column }) => {
    const tile = get({ level, row: Math.floor(row / TILE), column: Math.floor(column / TILE) });
    const inside = tile && row >= 0 && column >= 0 && column % TILE < tile.width && row % TILE < tile.height;
    const value = inside ? (tile.values[(row % TILE) * tile.width + (column % TILE)] ?? NaN) : NaN;
    return valid(value) ? value : NaN;
  });
  return { distances: points.map(({ distance }) => distance), values };
}

/** Percentiles of many numbers: of every so many, if there are very many. */
export function percentilesOf(parts: readonly Float32Array[], percents: readonly number[], valid: (v: number) => boolean): number[] | undefined {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const stride = Math.max(1, Math.floor(total / 200_000));
  const kept: number[] = [];
  for (const part of parts)
    for (let i = 0; i < part.length; i += stride) {
      const value = part[i] ?? NaN;
      if (valid(value)) kept.push(value);
    }
  if (kept.length === 0) return undefined;
  const sorted = Float32Array.from(kept).sort();
  return percents.map((percent) => sorted[Math.round(((sorted.length - 1) * percent) / 100)] ?? NaN);
}

export function parseLine(text: string | undefined): Line | undefined {
  const [a, b, c, d] = numbers(text);
  return d === undefined ? undefined : { from: [a ?? 0, b ?? 0], to: [c ?? 0, d] };
}

export function parseRegion(text: string | undefined): Region | undefined {
  const [top, bottom, left, right] = numbers(text);
  return right === undefined ? undefined : { top: top ?? 0, bottom: bottom ?? 0, left: left ?? 0, right };
}

function numbers(text: string | undefined): number[] {
  const found = (text ?? "").split(",").map(Number);
  return found.length === 4 && found.every(Number.isFinite) && text ? found : [];
}
