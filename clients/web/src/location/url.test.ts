import { describe, expect, it } from "vitest";
import { formatPlace, parsePlace, splitPath } from "./url";

const BASE = "https://lab.example/data/";

describe("places", () => {
  it("are found below any sub-path", () => {
    expect(parsePlace(`${BASE}view/a/run.h5/entry?as=image&index=3`, BASE)).toEqual({
      mode: "view",
      path: ["a", "run.h5", "entry"],
      query: { as: "image", index: "3" },
    });
    expect(parsePlace(BASE, BASE)).toEqual({ mode: "view", path: [], query: {} });
    expect(parsePlace(`${BASE}embed/x`, BASE).mode).toBe("embed");
  });

  it("come back from their URL, whatever is in their names", () => {
    const place = { mode: "view" as const, path: ["50% é", "a b?.h5", "x#y"], query: { axes: "1,2", q: "&=é" } };
    expect(parsePlace(BASE + formatPlace(place), BASE)).toEqual(place);
  });

  it("leave out what says nothing", () => {
    expect(formatPlace({ mode: "view", path: ["a"], query: { as: "", index: "1,2" } })).toBe("view/a?index=1,2");
  });
});

it("splits paths of HDF5", () => {
  expect(splitPath("/entry//data/")).toEqual(["entry", "data"]);
  expect(splitPath("/")).toEqual([]);
});
