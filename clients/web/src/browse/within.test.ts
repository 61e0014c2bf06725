import { expect, it } from "vitest";
import type { MetaNode } from "../server/meta";
import { rowsOf } from "./tree";
import { finder, isWhole, membersOf } from "./within";

const text = (value: string) => ({ type: { class: "string", dtype: "|O" }, shape: [], items: [value] });
const group = (attributes: Record<string, string>, members: Record<string, MetaNode> = {}): MetaNode => ({
  kind: "group",
  attributes: Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, text(value)])),
  members,
});
const root = group({}, {
  entry: group({ NX_class: "NXentry" }, { counts: group({ units: "photons" }), beam: group({ NX_class: "NXbeam" }) }),
  notes: group({}),
});
const found = (typed: string) => {
  const find = finder(typed);
  return rowsOf(membersOf(root), new Set(), (name, node) => find(name, node) !== undefined).map(({ path }) => path);
};

it("finds names, classes and attributes, and what leads to them", () => {
  expect(found("coun")).toEqual(["/entry", "/entry/counts"]);
  expect(found("nxbeam")).toEqual(["/entry", "/entry/beam"]);
  expect(found("counts phot")).toEqual(["/entry", "/entry/counts"]);
  expect(found("units")).toEqual(["/entry", "/entry/counts"]);
  expect(found("counts electrons")).toEqual([]);
});

it("knows when there is more", () => {
  expect(isWhole(root)).toBe(true);
  expect(isWhole(group({}, { a: { kind: "group", attributes: {}, members: null } }))).toBe(false);
});

it("says why", () => {
  const find = finder("phot");
  expect(find("counts", group({ units: "photons" }))).toBe("units: photons");
  expect(find("photons", group({}))).toBe("");
  expect(find("x", group({ NX_class: "NXphot" }))).toBe("NXphot");
  expect(find("x", { kind: "broken", reason: "" })).toBeUndefined();
});
