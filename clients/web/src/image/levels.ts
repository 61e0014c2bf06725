/** Which tiles of which level a view needs. */

import { type Level, TILE } from "./plane";

/** A part of the plane in pixels of level 0. */
export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export interface Tile {
  level: number;
  row: number;
  column: number;
}

/** The level whose pixels are closest to those of the screen, on a logarithmic scale. */
export function levelFor(levels: readonly Level[], pixelsPerDot: number): Level {
  const wanted = Math.round(Math.log2(Math.max(pixelsPerDot, 1)));
  const found = levels[Math.min(wanted, levels.length - 1)];
  if (!found) throw new Error("a plane without levels");
  return found;
}

/** Tiles of a level that cover a box, those in its middle first. */
export function tilesIn(level: Level, box: Box): Tile[] {
  const edge = TILE * level.factor;
  const range = (from: number, to: number, most: number): number[] => {
    const first = Math.max(0, Math.floor(from / edge));
    const last = Math.min(most - 1, Math.ceil(to / edge) - 1);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  };
  const middle = [(box.top + box.bottom) / 2 / edge - 0.5, (box.left + box.right) / 2 / edge - 0.5] as const;
  const distance = (tile: Tile) => Math.hypot(tile.row - middle[0], tile.column - middle[1]);
  return range(box.top, box.bottom, level.rows)
    .flatMap((row) =>
      range(box.left, box.right, level.columns).map((column) => ({ level: level.level, row, column })),
    )
    .sort((a, b) => distance(a) - distance(b));
}

/** The part of the plane that a tile covers, cut at the edge. */
export function boxOf(tile: Tile, levels: readonly Level[]): Box {
  const finest = levels[0];
  const factor = levels[tile.level]?.factor ?? 1;
  const edge = TILE * factor;
  return {
    left: tile.column * edge,
    right: Math.min((tile.column + 1) * edge, finest?.width ?? Infinity),
    top: tile.row * edge,
    bottom: Math.min((tile.row + 1) * edge, finest?.height ?? Infinity),
  };
}

export function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
