import { expect, it } from "vitest";
import { isQuestion } from "./search";

it("asks only for what can be searched for", () => {
  expect(["ly", "größe", "a1", "a 1"].map(isQuestion)).toEqual([true, true, true, true]);
  expect(["", " ", "a", "*", "--", "_a"].map(isQuestion)).toEqual([false, false, false, false, false, false]);
});
