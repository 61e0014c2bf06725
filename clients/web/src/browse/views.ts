/** The ways to look at data, and which one fits best: apps say what they are for, the server which there are. */

import type { App, Selector } from "../server/about";
import type { DatasetNode } from "../server/meta";
import { textOf } from "../server/values";

/** What there is besides apps, for everything. */
const ALWAYS = { h5web: "H5Web", details: "Details" };

export interface View {
  name: string;
  title: string;
  /** Whether it is a page that a package has brought. */
  page: boolean;
}

/** What is looked at. */
export interface Looked {
  /** The dataset that is drawn, if there is one. */
  dataset?: DatasetNode | undefined;
  /** NeXus classes of the group in the URL, and of the one that the dataset is in. */
  classes: readonly (string | undefined)[];
}

/** Views that can show something, the best first. */
export function viewsOf(apps: readonly App[], looked: Looked): View[] {
  const found = apps.flatMap((app) => {
    const selector = app.selects.find((one) => applies(one, looked));
    return selector ? [{ app, score: selector.score }] : [];
  });
  const views = found.sort((a, b) => b.score - a.score).map(({ app: { name, title, page } }) => ({ name, title, page }));
  const shape = looked.dataset?.shape;
  const isSmall = looked.dataset !== undefined && (shape === null || shape?.length === 0);
  const last = isSmall || !looked.dataset ? ["details", "h5web"] : ["h5web", "details"];
  return [...views, ...last.map((name) => ({ name, title: ALWAYS[name as keyof typeof ALWAYS], page: false }))];
}

/** Whether all is true that a selector says. */
export function applies(selector: Selector, { dataset, classes }: Looked): boolean {
  const { kinds, rank, sides, longest, nx_class, attributes } = selector;
  if (nx_class.length && !classes.some((name) => name !== undefined && nx_class.includes(name))) return false;
  if (!dataset) return !(kinds.length || rank || sides.length || longest || Object.keys(attributes).length);
  const shape = dataset.shape ?? [];
  if (kinds.length && !kinds.includes(dataset.type.class)) return false;
  if (rank && !(dataset.shape && rank[0] <= shape.length && shape.length <= rank[1])) return false;
  const last = shape.slice(shape.length - sides.length);
  if (sides.length > shape.length || sides.some((least, i) => (last[i] ?? 0) < least)) return false;
  if (longest && !shape.some((extent) => extent >= longest)) return false;
  return Object.entries(attributes).every(([name, wanted]) => {
    const value = dataset.attributes[name];
    return value !== undefined && (wanted === "" || textOf(value) === wanted);
  });
}
