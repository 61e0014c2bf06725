/** Tiles that were fetched, and those under way: the wanted ones first, a few at once, the rest called off. */

import { ask, urlOf } from "../server/fetch";
import { type NumericArray, parseNpy } from "../server/npy";
import { Problem } from "../server/problem";
import type { Tile } from "./levels";
import { TILE, type Wish } from "./plane";

const MOST_BYTES = 384 * 2 ** 20;
const MOST_AT_ONCE = 6;
const RETRY_MS = 1500;

/** What float32 tiles hold where there is no measurement, and where the detector was saturated. */
export const NO_VALUE = -3.0e38;
export const SATURATED = 3.0e38;

export interface TileData {
  width: number;
  height: number;
  /** Row by row from the top. */
  values: Float32Array<ArrayBuffer>;
  /** Made from a sample; the exact one is on its way. */
  approximate: boolean;
}

export type Load = (wish: Wish, tile: Tile, signal: AbortSignal) => Promise<TileData>;

interface Wanted {
  key: string;
  wish: Wish;
  tile: Tile;
}

export class TileCache {
  /** The file has another version now: nothing of what is here is current. */
  gone = false;
  private readonly tiles = new Map<string, TileData>();
  private readonly pending = new Map<string, AbortController>();
  private readonly failed = new Map<string, Error>();
  private readonly listeners = new Set<() => void>();
  private wanted: Wanted[] = [];
  private bytes = 0;
  private count = 0;

  constructor(private readonly load: Load) {}

  /** The newest state, as `useSyncExternalStore` needs it: it changes with every tile that comes. */
  readonly state = (): number => this.count;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get(wish: Wish, tile: Tile): TileData | undefined {
    return this.tiles.get(keyOf(wish, tile));
  }

  get waiting(): number {
    return this.pending.size;
  }

  error(): Error | undefined {
    return this.wanted.map(({ key }) => this.failed.get(key)).find((error) => error !== undefined);
  }

  /** Fetch these and nothing else, the first ones first. */
  want(wishes: readonly { wish: Wish; tile: Tile }[]): void {
    this.wanted = wishes.map(({ wish, tile }) => ({ key: keyOf(wish, tile), wish, tile }));
    const keys = new Set(this.wanted.map(({ key }) => key));
    for (const [key, under] of this.pending) if (!keys.has(key)) under.abort();
    for (const key of keys) this.touch(key);
    this.fetchMore();
  }

  close(): void {
    this.want([]);
    this.listeners.clear();
  }

  private fetchMore(): void {
    for (const { key, wish, tile } of this.wanted) {
      if (this.pending.size >= MOST_AT_ONCE) return;
      const known = this.tiles.get(key);
      if (this.pending.has(key) || this.failed.has(key) || (known && !known.approximate)) continue;
      const under = new AbortController();
      this.pending.set(key, under);
      this.load(wish, tile, under.signal)
        .then((data) => this.put(key, data))
        .catch((error: unknown) => {
          if (under.signal.aborted) return;
          this.failed.set(key, error as Error);
          if (error instanceof Problem && error.status === 410) this.gone = true;
        })
        .finally(() => {
          const later = this.tiles.get(key)?.approximate ? RETRY_MS : 0;
          setTimeout(() => {
            this.pending.delete(key);
            this.fetchMore();
          }, later);
          this.changed();
        });
    }
  }

  private put(key: string, data: TileData): void {
    this.bytes += data.values.byteLength - (this.tiles.get(key)?.values.byteLength ?? 0);
    this.tiles.delete(key);
    this.tiles.set(key, data);
    const wanted = new Set(this.wanted.map((one) => one.key));
    for (const [old, { values }] of this.tiles) {
      if (this.bytes <= MOST_BYTES) break;
      if (wanted.has(old)) continue;
      this.tiles.delete(old);
      this.bytes -= values.byteLength;
    }
  }

  private touch(key: string): void {
    const known = this.tiles.get(key);
    if (!known) return;
    this.tiles.delete(key);
    this.tiles.set(key, known);
  }

  private changed(): void {
    this.count += 1;
    for (const listener of this.listeners) listener();
  }
}

function keyOf(wish: Wish, { level, row, column }: Tile): string {
  return `${wish.axes}|${wish.index}|${wish.method}|${level}/${row}/${column}`;
}

/** Fetches float32 tiles of a dataset; of one version, if it can be named, so that the browser may keep them for good. */
export function floatTiles(path: readonly string[], version: string): Load {
  return async (wish, { level, row, column }, signal) => {
    const url = tileUrl(path, wish, { level, row, column }, { dtype: "f4", tile: String(TILE) }, version);
    const reply = await ask(url, signal);
    const { shape, data } = parseNpy(await reply.arrayBuffer());
    const values = data as Float32Array<ArrayBuffer>;
    mark(values);
    const [height = 0, width = 0] = shape;
    return { width, height, values, approximate: reply.headers.has("x-chunkserve-approximate") };
  };
}

/** Elements in their own type around an element of the plane: those of its tile of level 0. */
export async function exactTile(path: readonly string[], wish: Wish, tile: Tile, version: string): Promise<NumericArray> {
  return parseNpy(await (await ask(tileUrl(path, wish, tile, { tile: "256" }, version))).arrayBuffer());
}

function tileUrl(path: readonly string[], wish: Wish, tile: Tile, more: Record<string, string>, version: string): string {
  const name = [...path, String(tile.level), String(tile.row), `${tile.column}.npy`];
  return urlOf("tiles", name, { ...wish, ...more, v: version });
}

/** Shaders may not tell NaN from numbers: put numbers that nobody measures in its place. */
function mark(values: Float32Array): void {
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] ?? NaN;
    if (value !== value) values[i] = NO_VALUE;
    else if (value === Infinity) values[i] = SATURATED;
    else if (value === -Infinity) values[i] = NO_VALUE;
  }
}
