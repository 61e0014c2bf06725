/** The tree inside a file as rows: pure, so that it can be tested without a page. */

import type { MetaNode } from "../server/meta";
import { textOf } from "../server/values";

export interface Row {
  /** Beginning with a slash; the root is `/`. */
  path: string;
  name: string;
  depth: number;
  node: MetaNode;
  open: boolean;
}

export type Members = ReadonlyMap<string, Readonly<Record<string, MetaNode>>>;

/** Rows of the open groups, in order; with a filter, those that match and what leads to them. */
export function rowsOf(members: Members, open: ReadonlySet<string>, matches?: (name: string, node: MetaNode) => boolean): Row[] {
  const rows: Row[] = [];
  const visit = (group: string, depth: number): boolean => {
    let found = false;
    for (const [name, node] of Object.entries(members.get(group) ?? {})) {
      const path = group === "/" ? `/${name}` : `${group}/${name}`;
      const isOpen = isGroup(node) && (open.has(path) || (matches !== undefined && members.has(path)));
      const at = rows.push({ path, name, depth, node, open: isOpen }) - 1;
      const below = isOpen && visit(path, depth + 1);
      if (matches && !below && !matches(name, node)) rows.splice(at);
      else found = true;
    }
    return found;
  };
  visit("/", 0);
  return rows;
}

export function isGroup(node: MetaNode): boolean {
  return node.kind === "group" || node.kind === "same";
}

/** All groups above a path, the root first. */
export function above(path: string): string[] {
  const parts = path.split("/").filter(Boolean);
  return ["/", ...parts.slice(0, -1).map((_, i) => `/${parts.slice(0, i + 1).join("/")}`)];
}

export function nxClass(node: MetaNode): string | undefined {
  return "attributes" in node ? textOf(node.attributes["NX_class"]) : undefined;
}

/** The group in a group, if there is just one: there is no reason to make people open it. */
export function onlyGroup(group: string, members: Readonly<Record<string, MetaNode>>): string | undefined {
  const groups = Object.entries(members).filter(([, node]) => isGroup(node));
  const name = groups.length === 1 ? groups[0]?.[0] : undefined;
  return name === undefined ? undefined : group === "/" ? `/${name}` : `${group}/${name}`;
}
