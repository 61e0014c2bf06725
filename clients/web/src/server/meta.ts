import { askJson, urlOf } from "./fetch";
import type { Type, Value } from "./values";

export interface LinkedFrom {
  kind: string;
  path?: string;
  file?: string;
}

interface Common {
  link?: LinkedFrom;
}

export interface GroupNode extends Common {
  kind: "group";
  attributes: Record<string, Value>;
  /** By name; null where the answer was cut. */
  members: Record<string, MetaNode> | null;
}

export interface DatasetNode extends Common {
  kind: "dataset";
  attributes: Record<string, Value>;
  type: Type;
  /** Null for a null dataspace. */
  shape: number[] | null;
  maxshape?: (number | null)[] | null;
  layout: string;
  chunks: number[] | null;
  filters: { id: number; name: string; values?: number[] }[];
  stored: number | null;
  dims: (string | null)[];
}

export type MetaNode =
  | GroupNode
  | DatasetNode
  | (Common & { kind: "datatype"; attributes: Record<string, Value>; type: Type })
  | (Common & { kind: "broken"; reason: string })
  | { kind: "link"; path?: string | null; file?: string | null; reason?: string; link?: LinkedFrom | string }
  | { kind: "same"; path: string; link?: LinkedFrom };

export interface Meta {
  version: string;
  file: string;
  path: string;
  node: MetaNode;
}

const known = new Map<string, Promise<Meta>>();
const MOST_KNOWN = 500;

/** The node at a path, file included, and its members. Remembered for as long as the page is open. */
export function lookInto(path: readonly string[]): Promise<Meta> {
  const url = urlOf("meta", path, { format: "json" });
  let found = known.get(url);
  if (found === undefined) {
    found = askJson<Meta>(url);
    found.catch(() => known.delete(url));
    if (known.size >= MOST_KNOWN) known.delete([...known.keys()][0] ?? "");
    known.set(url, found);
  }
  return found;
}

/** The root of a file with all that is below it. */
export async function lookEverywhere(file: readonly string[], signal?: AbortSignal): Promise<MetaNode> {
  return (await askJson<Meta>(urlOf("meta", file, { depth: "all", format: "json" }), signal)).node;
}

/** Ask anew from now on: files may have changed. */
export function forget(): void {
  known.clear();
}
