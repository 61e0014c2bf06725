import { useCameraState, useVisCanvasContext } from "@h5web/lib";
import { useThree } from "@react-three/fiber";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Vector3 } from "three";
import { type Box, boxOf, levelFor, overlap, type Tile, tilesIn } from "./levels";
import type { Painting } from "./material";
import { type DrawnAxis, type PlaneInfo, toPosition, toValue, type Wish } from "./plane";
import type { TileCache, TileData } from "./tilecache";

/** How long a plane that is complete is shown in place of one whose tiles are still coming. */
const PATIENCE_MS = 350;

/** The most tiles of a plane that is not shown yet. */
const MOST_AHEAD = 12;

export interface Scene {
  info: PlaneInfo;
  x: DrawnAxis;
  y: DrawnAxis;
  wish: Wish;
  /** Planes that will be wanted next. */
  ahead: readonly Wish[];
  /** Tiles that somebody needs besides those in view. */
  extra: readonly Tile[];
}

/** What is to be seen: the part of the plane, the level, and its tiles. */
export interface Seen {
  box: Box;
  level: number;
  tiles: readonly Tile[];
  complete: boolean;
}

interface Props {
  scene: Scene;
  cache: TileCache;
  painting: Painting;
  onSeen: (seen: Seen) => void;
}

/** The plane as tiles of the level that fits the screen, above what there is of coarser ones. */
export function TileLayer({ scene, cache, painting, onSeen }: Props) {
  const { info, wish, ahead, extra } = scene;
  const { box, dots } = useVisibleBox(scene);
  const state = useSyncExternalStore(cache.subscribe, cache.state);
  const level = levelFor(info.levels, dots);
  const tiles = useMemo(() => tilesIn(level, box), [level, box]);
  const coarsest = info.levels.at(-1) ?? level;

  useEffect(() => {
    const base = level === coarsest ? [] : tilesIn(coarsest, box);
    const now = [...base, ...tiles, ...extra].map((tile) => ({ wish, tile }));
    const next = tiles.length > MOST_AHEAD ? [] : ahead.flatMap((other) => tiles.map((tile) => ({ wish: other, tile })));
    cache.want([...now, ...next]);
  }, [cache, wish, ahead, extra, tiles, box, level, coarsest]);

  const complete = tiles.every((tile) => cache.get(wish, tile));
  const shown = useShown(wish, complete);
  const drawn = useMemo(() => {
    const visible = (tile: Tile) => overlap(boxOf(tile, info.levels), box);
    const under = tiles.every((tile) => cache.get(shown, tile))
      ? []
      : [...info.levels].reverse().filter((other) => other.level > level.level).flatMap((other) => tilesIn(other, box));
    return [...under, ...tiles].filter(visible).flatMap((tile) => {
      const data = cache.get(shown, tile);
      return data ? [{ tile, data }] : [];
    });
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the cache's state says when tiles have come
  }, [info, box, level, tiles, shown, cache, state]);

  useEffect(() => {
    onSeen({ box, level: level.level, tiles, complete });
  }, [onSeen, box, level, tiles, complete, state]);

  return drawn.map(({ tile, data }) => (
    <TileMesh
      key={`${shown.axes}|${shown.index}|${shown.method}|${tile.level}/${tile.row}/${tile.column}`}
      scene={scene}
      box={boxOf(tile, info.levels)}
      factor={info.levels[tile.level]?.factor ?? 1}
      order={info.levels.length - tile.level}
      data={data}
      painting={painting}
    />
  ));
}

/** The plane to show: the one wished for as soon as it is complete, or when it has taken too long. */
function useShown(wish: Wish, complete: boolean): Wish {
  const [shown, setShown] = useState(wish);
  useEffect(() => {
    if (shown === wish) return;
    const timer = setTimeout(() => setShown(wish), complete || shown.axes !== wish.axes ? 0 : PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [wish, shown, complete]);
  return complete ? wish : shown.axes === wish.axes ? shown : wish;
}

/** The part of the plane in the window, in pixels of level 0, and how many of these lie on a dot of the screen. */
function useVisibleBox({ x, y }: Scene): { box: Box; dots: number } {
  const { getVisibleDomains, canvasSize } = useVisCanvasContext();
  const { width, height } = canvasSize;
  const ratio = useThree((three) => three.viewport.dpr);
  const [left, right, top, bottom] = useCameraState(
    (camera) => {
      const { xVisibleDomain, yVisibleDomain } = getVisibleDomains(camera);
      const sorted = (axis: DrawnAxis, domain: [number, number]) =>
        domain.map((value) => toPosition(axis, value)).sort((a, b) => a - b);
      return [...sorted(x, xVisibleDomain), ...sorted(y, yVisibleDomain)] as const;
    },
    [getVisibleDomains, x, y],
    (a, b) => a.every((value, i) => value === b[i]),
  ) as [number, number, number, number];
  return useMemo(() => {
    const dots = Math.max((right - left) / width, (bottom - top) / height) / ratio;
    const box = {
      left: Math.max(0, left),
      right: Math.min(x.extent, right),
      top: Math.max(0, top),
      bottom: Math.min(y.extent, bottom),
    };
    return { box, dots };
  }, [left, right, top, bottom, width, height, ratio, x, y]);
}

interface MeshProps {
  scene: Scene;
  box: Box;
  factor: number;
  order: number;
  data: TileData;
  painting: Painting;
}

function TileMesh({ scene: { x, y }, box, factor, order, data, painting }: MeshProps) {
  const { dataToWorld } = useVisCanvasContext();
  const across = (box.right - box.left) / (data.width * factor);
  const down = (box.bottom - box.top) / (data.height * factor);
  const material = useMemo(() => painting.material(data, [across, down]), [painting, data, across, down]);
  useEffect(() => () => material.dispose(), [material]);
  const first = dataToWorld(new Vector3(toValue(x, box.left), toValue(y, box.top), 0));
  const last = dataToWorld(new Vector3(toValue(x, box.right), toValue(y, box.bottom), 0));
  return (
    <mesh
      position={[(first.x + last.x) / 2, (first.y + last.y) / 2, 0]}
      scale={[last.x - first.x, last.y - first.y, 1]}
      renderOrder={order}
    >
      <planeGeometry />
      <primitive object={material} attach="material" />
    </mesh>
  );
}
