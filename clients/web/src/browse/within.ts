/** What is found inside a file as one types: by name, NeXus class, attributes. Pure. */

import type { MetaNode } from "../server/meta";
import { scalarOf, textsOf } from "../server/values";
import type { Members } from "./tree";

/** Why a node is found: empty if by its name alone. */
export type Find = (name: string, node: MetaNode) => string | undefined;

/** Finds nodes that have all words typed in their name, or each in it, in an attribute's name or in its value. */
export function finder(typed: string): Find {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const known = new WeakMap<MetaNode, string[]>();
  return (name, node) => {
    const lower = name.toLowerCase();
    const rest = words.filter((word) => !lower.includes(word));
    if (rest.length === 0) return "";
    let texts = known.get(node);
    if (!texts) known.set(node, (texts = textsAbout(node)));
    const reasons = rest.map((word) => texts.find((text) => text.toLowerCase().includes(word)));
    return reasons.every((reason) => reason !== undefined) ? [...new Set(reasons)].join(", ") : undefined;
  };
}

/** What attributes say, their values as text: `units: keV`; of the class just that. */
function textsAbout(node: MetaNode): string[] {
  if (!("attributes" in node)) return [];
  return Object.entries(node.attributes).map(([name, value]) => {
    const texts = textsOf(value);
    const number = scalarOf(value);
    const shown = texts.length ? texts.join(" ") : typeof number === "number" || typeof number === "bigint" ? String(number) : "";
    return name === "NX_class" ? shown : `${name}: ${shown}`;
  });
}

/** Whether an answer about a file has all of it: it ends after so many objects. */
export function isWhole(node: MetaNode): boolean {
  if (node.kind !== "group") return true;
  return node.members !== null && Object.values(node.members).every(isWhole);
}

/** The members of all groups of a file, from an answer that has all of them. */
export function membersOf(root: MetaNode): Members {
  const found = new Map<string, Readonly<Record<string, MetaNode>>>();
  const visit = (path: string, node: MetaNode) => {
    if (node.kind !== "group" || !node.members) return;
    found.set(path, node.members);
    for (const [name, member] of Object.entries(node.members)) visit(path === "/" ? `/${name}` : `${path}/${name}`, member);
  };
  visit("/", root);
  return found;
}
