import { useEffect, useMemo, useState } from "react";
import { useAsked } from "../server/useasked";
import { planeInfo, type PlaneInfo, type Wish } from "./plane";
import { floatTiles, TileCache } from "./tilecache";

/** Levels of a plane, and the cache of its tiles. Both are made anew when the file has changed. */
export function usePlane(path: readonly string[], wish: Wish) {
  const [round, setRound] = useState(0);
  const name = path.join("/");
  // the index is no part of it: levels and axes are the same for all planes of a stack
  const asked = useAsked(`plane ${name} ${wish.axes} ${wish.method} ${round}`, (signal) =>
    planeInfo(path, { ...wish, index: "" }, signal),
  );
  const version = asked.value?.version;
  const cache = useMemo(
    () => (version === undefined ? undefined : new TileCache(floatTiles(name.split("/"), version))),
    [name, version],
  );
  useEffect(() => {
    if (!cache) return;
    const leave = cache.subscribe(() => {
      if (cache.gone) setRound((n) => n + 1);
    });
    return () => {
      leave();
      cache.close();
    };
  }, [cache]);
  const [last, setLast] = useState<PlaneInfo>();
  if (asked.value && asked.value !== last) setLast(asked.value);
  return { info: asked.value ?? last, cache, error: asked.error };
}
