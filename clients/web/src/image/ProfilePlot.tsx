import { LineVis, useDomain } from "@h5web/lib";
import ndarray from "ndarray";
import { useMemo, useSyncExternalStore } from "react";
import { isValid } from "./material";
import { lineLevel, type Line, profileOf } from "./profile";
import type { Scene } from "./TileLayer";
import type { TileCache } from "./tilecache";

interface Props {
  line: Line;
  scene: Scene;
  cache: TileCache;
  label: string;
  onClose: () => void;
}

/** The values along a line. */
export function ProfilePlot({ line, scene, cache, label, onClose }: Props) {
  const state = useSyncExternalStore(cache.subscribe, cache.state);
  const level = lineLevel(line, scene.info.levels.length);
  const { distances, values } = useMemo(
    () => profileOf(line, level, (tile) => cache.get(scene.wish, tile), isValid),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the cache's state says when tiles have come
    [line, level, cache, scene.wish, state],
  );
  const array = useMemo(() => ndarray(values), [values]);
  const domain = useDomain(values);
  const length = distances.at(-1) ?? 0;
  return (
    <section className="tool-result profile" aria-label="Profile">
      <div className="tool-head">
        <b>Profile</b> from row {line.from[0].toFixed(0)}, column {line.from[1].toFixed(0)} to {line.to[0].toFixed(0)},{" "}
        {line.to[1].toFixed(0)}: {length.toFixed(1)} pixels
        {level > 0 && <>, each point the {scene.info.method} of {2 ** level} × {2 ** level}</>}
        <span className="spring" />
        <button type="button" className="plain-button" onClick={onClose}>
          Close
        </button>
      </div>
      <div className="profile-plot" data-points={values.length}>
        <LineVis
          dataArray={array}
          domain={domain}
          abscissaParams={{ value: distances, label: "pixels" }}
          ordinateLabel={label}
          showGrid
        />
      </div>
    </section>
  );
}
