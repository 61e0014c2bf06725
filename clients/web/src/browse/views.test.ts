import { describe, expect, it } from "vitest";
import type { DatasetNode, MetaNode } from "../server/meta";
import { defaultPlot } from "./defaultplot";
import type { App, Selector } from "../server/about";
import { applies, viewsOf } from "./views";

const dataset = (shape: number[] | null, kind = "float"): DatasetNode => ({
  kind: "dataset",
  attributes: {},
  type: { class: kind, dtype: "<f4", size: 4 },
  shape,
  layout: "chunked",
  chunks: null,
  filters: [],
  stored: null,
  dims: [],
});
const text = (value: string) => ({ type: { class: "string", dtype: "|O" }, shape: [], items: [value] });
const group = (attributes: Record<string, string>, members: Record<string, MetaNode> = {}): MetaNode => ({
  kind: "group",
  attributes: Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, text(value)])),
  members,
});

const anything: Selector = { kinds: [], rank: null, sides: [], longest: 0, nx_class: [], attributes: {}, score: 10 };
const REAL = ["integer", "float", "bool", "enum"];
/** As chunkserve/apps.py has them. */
const APPS: App[] = [
  { name: "image", selects: [{ kinds: REAL, rank: [2, 32], sides: [3, 3], score: 30 }, { kinds: REAL, rank: [2, 32] }] },
  { name: "line", selects: [{ kinds: REAL, rank: [1, 32], longest: 2, score: 20 }] },
  { name: "map", selects: [{ kinds: REAL, rank: [3, 3], attributes: { interpretation: "spectrum" }, score: 40 }] },
  { name: "table", selects: [{ rank: [1, 32], score: 0 }] },
].map(({ name, selects }) => ({ name, title: name, page: false, selects: selects.map((one) => ({ ...anything, ...one }) as Selector) }));
const names = (node: DatasetNode, ...classes: string[]) => viewsOf(APPS, { dataset: node, classes }).map(({ name }) => name);

describe("selectors", () => {
  const image = { ...dataset([5, 6]), attributes: { units: text("V") } };
  it("say what an app is for", () => {
    const holds = (change: Partial<Selector>, classes: string[] = ["NXdata"]) => applies({ ...anything, ...change }, { dataset: image, classes });
    expect(holds({})).toBe(true);
    expect([holds({ nx_class: ["NXtomo"] }), holds({ nx_class: ["NXtomo", "NXdata"] })]).toEqual([false, true]);
    expect([holds({ attributes: { units: "" } }), holds({ attributes: { units: "V" } }), holds({ attributes: { units: "A" } })]).toEqual([true, true, false]);
    expect([holds({ attributes: { none: "" } }), holds({ kinds: ["compound"] }), holds({ rank: [3, 4] }), holds({ sides: [5, 7] })]).toEqual([false, false, false, false]);
    expect([holds({ sides: [1, 5, 6] }), holds({ longest: 7 })]).toEqual([false, false]);
  });

  it("may be about a group alone", () => {
    expect(applies({ ...anything, nx_class: ["NXsample"] }, { classes: ["NXsample"] })).toBe(true);
    expect(applies({ ...anything, nx_class: ["NXsample"], rank: [0, 9] }, { classes: ["NXsample"] })).toBe(false);
    const app: App = { name: "mine", title: "Mine", page: true, selects: [{ ...anything, nx_class: ["NXsample"] }] };
    expect(viewsOf([app], { classes: ["NXsample"] }).map(({ name }) => name)).toEqual(["mine", "details", "h5web"]);
  });
});

describe("views", () => {
  it("fit what there is to see", () => {
    expect(names(dataset([10, 20, 30]))[0]).toBe("image");
    expect(names(dataset([5000]))[0]).toBe("line");
    expect(names(dataset([5000, 2]))[0]).toBe("line");
    const cube = { ...dataset([9, 9, 900]), attributes: { interpretation: text("spectrum") } };
    expect(names(cube).slice(0, 2)).toEqual(["map", "image"]);
    expect(names(dataset([]))).toEqual(["details", "h5web"]);
    expect(names(dataset([9, 9], "compound"))).toEqual(["table", "h5web", "details"]);
  });
});

describe("the default plot", () => {
  const nodes: Record<string, MetaNode> = {
    "/": group({ default: "entry" }),
    "/entry": group({}, { a: group({}), plot: group({ NX_class: "NXdata" }) }),
    "/entry/plot": group({ NX_class: "NXdata", signal: "counts" }, { counts: dataset([4]) }),
    "/entry/plot/counts": dataset([4]),
    "/broken": group({ default: "missing" }),
  };
  const look = (path: string) => (nodes[path] ? Promise.resolve(nodes[path]) : Promise.reject(new Error(path)));

  it("follows default, then NXdata and its signal", async () => {
    expect(await defaultPlot(look, "/")).toBe("/entry/plot/counts");
    expect(await defaultPlot(look, "/entry/plot/counts")).toBe("/entry/plot/counts");
  });

  it("is none where nothing says so", async () => {
    expect(await defaultPlot(look, "/broken")).toBeUndefined();
  });
});
