/** What of a dataset is looked at, as `/slice` writes it: the plane or line in view, the region in it. */

import { parseRegion } from "../image/profile";

export function selectionInUrl(query: Readonly<Record<string, string>>, shape: readonly number[]): string {
  const rank = shape.length;
  if (rank < 2) return "";
  const isLine = query["as"] === "line";
  const told = (query["axes"] ?? "").split(",").map(Number);
  const drawn = isLine ? [Number(query["axis"] || rank - 1)] : query["axes"] && told.length === 2 ? told : [rank - 2, rank - 1];
  const region = isLine ? undefined : parseRegion(query["region"]);
  if (rank === drawn.length && !region) return "";
  const index = (query["index"] ?? "").split(",").map((word) => Number(word) || 0);
  let next = 0;
  return shape
    .map((_, axis) => {
      if (axis === drawn[0]) return region ? `${region.top}:${region.bottom}` : ":";
      if (axis === drawn[1]) return region ? `${region.left}:${region.right}` : ":";
      const at = index[next] ?? 0;
      next += 1;
      return String(at);
    })
    .join(",");
}
