import { expect, it } from "vitest";
import { carriedOf, credentialsOf, withoutCredentials } from "./carried";

const query = { as: "image", index: "3", sessionId: "s", token: "t", datafileId: "42" };

it("keeps what is not the viewer's own", () => {
  expect(carriedOf(query)).toEqual({ sessionId: "s", token: "t", datafileId: "42" });
});

it("tells what shows who asks from what does not", () => {
  expect(credentialsOf(query)).toEqual({ sessionId: "s", token: "t" });
  expect(withoutCredentials(query)).toEqual({ as: "image", index: "3", datafileId: "42" });
});
