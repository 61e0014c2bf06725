import type { Place } from "../location/url";
import { withoutCredentials } from "../location/carried";
import { parseLine, parseRegion } from "../image/profile";

/** What an embedded view tells the page around it. */
export interface Message {
  type: "chunkserve";
  /** File and path inside, as in the URL. */
  path: string;
  /** The same view in a page of its own. */
  url: string;
  /** Where the axes that are not drawn are cut. */
  index: number[];
  /** Rows and columns from and to (exclusive), or null. */
  region: { rows: [number, number]; columns: [number, number] } | null;
  /** Row and column of both ends, or null. */
  line: { from: [number, number]; to: [number, number] } | null;
  /** All parameters of the view, without credentials. */
  query: Record<string, string>;
}

export function messageOf(place: Place, url: string): Message {
  const { path, query } = place;
  const region = parseRegion(query["region"]);
  const line = parseLine(query["line"]);
  return {
    type: "chunkserve",
    path: path.join("/"),
    url,
    index: (query["index"] ?? "").split(",").filter(Boolean).map(Number),
    region: region ? { rows: [region.top, region.bottom], columns: [region.left, region.right] } : null,
    line: line ? { from: [...line.from], to: [...line.to] } : null,
    query: withoutCredentials(query),
  };
}
