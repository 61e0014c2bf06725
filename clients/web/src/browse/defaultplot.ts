/** What a group shows first, as NeXus has it (https://manual.nexusformat.org/datarules.html). */

import type { MetaNode } from "../server/meta";
import { textOf } from "../server/values";
import { nxClass } from "./tree";

const DEEPEST = 8;

export type Look = (path: string) => Promise<MetaNode>;

/** The path of the dataset to show for a node: itself, or the default signal below it. */
export async function defaultPlot(look: Look, path: string, depth = 0): Promise<string | undefined> {
  const node = await look(path);
  if (node.kind === "dataset") return path;
  if (node.kind !== "group" || depth > DEEPEST) return undefined;
  const named = textOf(node.attributes["default"]);
  if (named !== undefined) return defaultPlot(look, join(path, named), depth + 1).catch(() => undefined);
  const members = Object.entries(node.members ?? {});
  const signal = signalOf(node);
  if (signal !== undefined) return signal in (node.members ?? {}) ? join(path, signal) : undefined;
  for (const wanted of ["NXdata", "NXentry", "NXprocess"]) {
    const found = members.find(([, member]) => nxClass(member) === wanted);
    if (found) return defaultPlot(look, join(path, found[0]), depth + 1);
  }
  return undefined;
}

/** The name of a group's signal; before 2014 the dataset said so itself. */
export function signalOf(node: MetaNode): string | undefined {
  if (node.kind !== "group") return undefined;
  const named = textOf(node.attributes["signal"]);
  if (named !== undefined) return named;
  if (nxClass(node) !== "NXdata") return undefined;
  return Object.entries(node.members ?? {}).find(([, m]) => m.kind === "dataset" && "signal" in m.attributes)?.[0];
}

function join(group: string, name: string): string {
  if (name.startsWith("/")) return name;
  return group === "/" ? `/${name}` : `${group}/${name}`;
}
