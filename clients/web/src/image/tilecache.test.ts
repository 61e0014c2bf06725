import { describe, expect, it, vi } from "vitest";
import { Problem } from "../server/problem";
import { type Load, TileCache, type TileData } from "./tilecache";

const wish = { axes: "", index: "", method: "" };
const tile = (column: number) => ({ level: 0, row: 0, column });
const want = (...columns: number[]) => columns.map((column) => ({ wish, tile: tile(column) }));
const data = (approximate = false): TileData => ({ width: 1, height: 1, values: new Float32Array(1), approximate });

/** A loader whose answers are given by the test. */
function held() {
  const asked = new Map<number, { answer: (found: TileData) => void; fail: (error: Error) => void; signal: AbortSignal }>();
  const load: Load = (_, { column }, signal) =>
    new Promise((answer, fail) => {
      asked.set(column, { answer, fail, signal });
      signal.addEventListener("abort", () => fail(new Error("aborted")));
    });
  return { asked, load };
}
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("the cache of tiles", () => {
  it("asks for six at once, in the order wanted, and goes on as they come", async () => {
    const { asked, load } = held();
    const cache = new TileCache(load);
    cache.want(want(0, 1, 2, 3, 4, 5, 6, 7));
    expect([...asked.keys()]).toEqual([0, 1, 2, 3, 4, 5]);
    asked.get(3)?.answer(data());
    await settle();
    expect([...asked.keys()].at(-1)).toBe(6);
    expect(cache.get(wish, tile(3))).toBeDefined();
  });

  it("calls off what is not wanted any more, and can ask for it again", async () => {
    const { asked, load } = held();
    const cache = new TileCache(load);
    cache.want(want(0, 1));
    cache.want(want(1));
    expect(asked.get(0)?.signal.aborted).toBe(true);
    await settle();
    expect(cache.error()).toBeUndefined();
    asked.delete(0);
    cache.want(want(0, 1));
    expect(asked.has(0)).toBe(true);
  });

  it("asks again for what was made from a sample", async () => {
    vi.useFakeTimers();
    const { asked, load } = held();
    const cache = new TileCache(load);
    cache.want(want(0));
    asked.get(0)?.answer(data(true));
    await vi.advanceTimersByTimeAsync(10);
    asked.delete(0);
    await vi.advanceTimersByTimeAsync(2000);
    asked.get(0)?.answer(data());
    await vi.advanceTimersByTimeAsync(10);
    expect(cache.get(wish, tile(0))?.approximate).toBe(false);
    vi.useRealTimers();
  });

  it("says what failed, and that a version is gone", async () => {
    const { asked, load } = held();
    const cache = new TileCache(load);
    const before = cache.state();
    cache.want(want(0));
    asked.get(0)?.fail(new Problem(410, "Gone", "another version"));
    await settle();
    expect(cache.error()?.message).toBe("another version");
    expect(cache.gone).toBe(true);
    expect(cache.state()).toBeGreaterThan(before);
  });
});
