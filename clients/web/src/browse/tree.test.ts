import { describe, expect, it } from "vitest";
import type { MetaNode } from "../server/meta";
import { matcher } from "./filter";
import { above, onlyGroup, rowsOf } from "./tree";

const group: MetaNode = { kind: "group", attributes: {}, members: null };
const leaf: MetaNode = { kind: "broken", reason: "" };
const members = new Map<string, Record<string, MetaNode>>([
  ["/", { entry: group, note: leaf }],
  ["/entry", { data: group, title: leaf }],
  ["/entry/data", { counts: leaf }],
]);

describe("the tree", () => {
  it("shows what is open", () => {
    const rows = rowsOf(members, new Set(["/entry"]));
    expect(rows.map((row) => `${row.depth} ${row.path}`)).toEqual(["0 /entry", "1 /entry/data", "1 /entry/title", "0 /note"]);
    expect(rows.map((row) => row.open)).toEqual([true, false, false, false]);
  });

  it("shows matches and what leads to them", () => {
    const rows = rowsOf(members, new Set(), matcher("COU"));
    expect(rows.map((row) => row.path)).toEqual(["/entry", "/entry/data", "/entry/data/counts"]);
    expect(rowsOf(members, new Set(), matcher("nothing"))).toEqual([]);
  });

  it("unfolds what is the only group", () => {
    expect(onlyGroup("/", { entry: group, title: leaf })).toBe("/entry");
    expect(onlyGroup("/a", { b: group, c: group })).toBeUndefined();
    expect(onlyGroup("/a", { b: leaf })).toBeUndefined();
  });

  it("knows what is above", () => {
    expect(above("/entry/data/counts")).toEqual(["/", "/entry", "/entry/data"]);
    expect(above("/")).toEqual(["/"]);
  });
});

it("matches all words in any order", () => {
  expect(matcher("nxs run")("Run_042.NXS")).toBe(true);
  expect(matcher("run h5")("Run_042.NXS")).toBe(false);
  expect(matcher("  ")("anything")).toBe(true);
});
