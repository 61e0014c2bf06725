import { useCanvasEvent } from "@h5web/lib";
import { useEffect, useState, useSyncExternalStore } from "react";
import { formatFloat32, formatNumber, formatShort } from "../server/format";
import type { NumericArray } from "../server/npy";
import type { Geometry } from "./geometry";
import { isValid } from "./material";
import { axisName, type DrawnAxis, type PlaneInfo, TILE, toPosition, valueAt, type Wish } from "./plane";
import { ResolutionText } from "./Rings";
import { exactTile, SATURATED, type TileCache } from "./tilecache";

const REST_MS = 100;
const EXACT_TILE = 256;
const MOST_EXACT = 16;

export interface Pointed {
  row: number;
  column: number;
}

/** The pixel that the pointer is on: kept beside the state of components, since it changes with every move. */
export class Pointer {
  private at: Pointed | undefined;
  private readonly listeners = new Set<() => void>();

  readonly get = (): Pointed | undefined => this.at;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  set(at: Pointed | undefined): void {
    if (at?.row === this.at?.row && at?.column === this.at?.column) return;
    this.at = at;
    for (const listener of this.listeners) listener();
  }
}

/** Tells which pixel the pointer is on. */
export function CursorSensor({ x, y, pointer }: { x: DrawnAxis; y: DrawnAxis; pointer: Pointer }) {
  useCanvasEvent("pointermove", ({ dataPt }) => {
    const [column, row] = [Math.floor(toPosition(x, dataPt.x)), Math.floor(toPosition(y, dataPt.y))];
    const inside = row >= 0 && column >= 0 && row < y.extent && column < x.extent;
    pointer.set(inside ? { row, column } : undefined);
  });
  useCanvasEvent("pointerout", () => pointer.set(undefined));
  return null;
}

interface Props {
  parts: readonly string[];
  wish: Wish;
  info: PlaneInfo;
  cache: TileCache;
  pointer: Pointer;
  names: readonly string[];
  label: string;
  level: number;
  geometry: Geometry | undefined;
}

/** Where the pointer is, and the value there: every digit of the dataset's, and what is drawn if that is coarser. */
export function Readout({ parts, wish, info, cache, pointer, names, label, level, geometry }: Props) {
  const pointed = useSyncExternalStore(pointer.subscribe, pointer.get);
  const exact = useExact(parts, wish, info, pointed);
  if (!pointed)
    return (
      <p className="readout">
        <span>
          {info.shape.join(" × ")} {info.dtype}
        </span>
        <span className="spring" />
        <span>{level === 0 ? "full resolution" : `1 : ${2 ** level}`}</span>
      </p>
    );
  const { row, column } = pointed;
  const places = [
    [info.axes.rows, row],
    [info.axes.columns, column],
  ] as const;
  return (
    <p className="readout" data-testid="readout">
      {places.map(([axis, at], i) => (
        <span key={axis}>
          {axisName(info, axis, names) || (i ? "column" : "row")} <b>{at}</b>
          {info.axes.rulers[axis] && <> ({valueAt(info.axes.rulers[axis], at)})</>}
        </span>
      ))}
      <span className="value">
        {label} <b data-testid="value">{exact ?? "…"}</b>
      </span>
      {geometry && <ResolutionText {...{ geometry, row, column }} />}
      <span className="spring" />
      <span>{drawn(cache, wish, info, pointed, level)}</span>
    </p>
  );
}

/** What the picture shows at a pixel, where that is not the element itself. */
function drawn(cache: TileCache, wish: Wish, info: PlaneInfo, { row, column }: Pointed, level: number): string {
  const factor = 2 ** level;
  const [r, c] = [Math.floor(row / factor), Math.floor(column / factor)];
  const tile = cache.get(wish, { level, row: Math.floor(r / TILE), column: Math.floor(c / TILE) });
  const value = tile?.values[(r % TILE) * tile.width + (c % TILE)];
  if (value === undefined) return "";
  const text = isValid(value) ? formatShort(value) : value >= SATURATED / 2 ? "saturated" : "no measurement";
  if (level === 0) return isValid(value) ? "" : text;
  return `${info.method} of ${factor} × ${factor}: ${text}${tile?.approximate ? " (from a sample)" : ""}`;
}

/** The element in its own type, once the pointer rests. */
function useExact(parts: readonly string[], wish: Wish, info: PlaneInfo, pointed?: Pointed): string | undefined {
  const [known, setKnown] = useState(new Map<string, NumericArray>());
  const tile = pointed && {
    level: 0,
    row: Math.floor(pointed.row / EXACT_TILE),
    column: Math.floor(pointed.column / EXACT_TILE),
  };
  const key = tile && `${parts.join("/")}|${info.version}|${wish.axes}|${wish.index}|${tile.row}|${tile.column}`;
  const found = key === undefined ? undefined : known.get(key);
  useEffect(() => {
    if (!tile || key === undefined || found) return;
    const timer = setTimeout(() => {
      exactTile(parts, wish, tile, info.version)
        .then((array) => setKnown((old) => new Map([...[...old].slice(1 - MOST_EXACT), [key, array]])))
        .catch(() => undefined); // the picture says what is wrong
    }, REST_MS);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key has all of it
  }, [key, found]);
  if (!pointed || !found) return undefined;
  const at = (pointed.row % EXACT_TILE) * (found.shape[1] ?? 1) + (pointed.column % EXACT_TILE);
  const value = found.data[at];
  if (value === undefined) return undefined;
  return found.descr === "<f4" && typeof value === "number" ? formatFloat32(value) : formatNumber(value);
}
