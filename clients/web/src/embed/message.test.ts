import { expect, it } from "vitest";
import { messageOf } from "./message";

it("says what is looked at", () => {
  const query = { index: "3,1", region: "1,2,3,4", line: "0,0,5,5.5" };
  expect(messageOf({ mode: "embed", path: ["a.h5", "x"], query }, "http://u/")).toEqual({
    type: "chunkserve",
    path: "a.h5/x",
    url: "http://u/",
    index: [3, 1],
    region: { rows: [1, 2], columns: [3, 4] },
    line: { from: [0, 0], to: [5, 5.5] },
    query,
  });
  expect(messageOf({ mode: "embed", path: [], query: { token: "t", cmap: "Greys" } }, "").query).toEqual({ cmap: "Greys" });
  expect(messageOf({ mode: "embed", path: [], query: {} }, "")).toMatchObject({ index: [], region: null, line: null });
});
