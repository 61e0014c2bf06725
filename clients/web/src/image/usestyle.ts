import type { ColorMap } from "@h5web/lib";
import { useMemo } from "react";
import { useQuery } from "../location/useplace";
import { COLOUR_MAPS, DEFAULT_MAP, type Scale, SCALES, usable, type Window } from "./colour";
import type { Style } from "./material";
import type { PlaneInfo } from "./plane";

/** How values are coloured: as the URL says, else in the dataset's window. */
export function useStyle(info: PlaneInfo): Style {
  const [query] = useQuery();
  const { vmin, vmax, scale: wished, cmap, invert } = query;
  return useMemo(() => {
    const scale = SCALES.find((name): name is Scale => name === wished) ?? "linear";
    const map = COLOUR_MAPS.find((name): name is ColorMap => name.toLowerCase() === cmap?.toLowerCase()) ?? DEFAULT_MAP;
    const own: Window = info.window ? [info.window.start, info.window.end] : [0, 1];
    const window: Window = [numberOr(vmin, own[0]), numberOr(vmax, own[1])];
    const leastPositive = info.window && info.window.min > 0 ? info.window.min : info.dtype.startsWith("float") ? window[1] / 1e5 : 1;
    return { window: usable(window, scale, leastPositive), scale, map, inverted: invert === "1" };
  }, [info, vmin, vmax, wished, cmap, invert]);
}

function numberOr(text: string | undefined, other: number): number {
  const found = Number(text);
  return text === undefined || text === "" || !Number.isFinite(found) ? other : found;
}
