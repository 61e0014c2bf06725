import { describe, expect, it } from "vitest";
import type { DatasetNode, MetaNode } from "../server/meta";
import { defaultPlot } from "./defaultplot";
import { viewsOf } from "./views";

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

describe("views", () => {
  it("fit what there is to see", () => {
    expect(viewsOf(dataset([10, 20, 30]))[0]).toBe("image");
    expect(viewsOf(dataset([5000]))[0]).toBe("line");
    expect(viewsOf(dataset([5000, 2]))[0]).toBe("line");
    const cube = { ...dataset([9, 9, 900]), attributes: { interpretation: text("spectrum") } };
    expect(viewsOf(cube).slice(0, 2)).toEqual(["map", "image"]);
    expect(viewsOf(dataset([]))).toEqual(["details", "h5web"]);
    expect(viewsOf(dataset([9, 9], "compound"))).toEqual(["table", "h5web", "details"]);
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
