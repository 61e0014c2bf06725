import { expect, it } from "vitest";
import { selectionInUrl } from "./selection";

it("is the plane in view, or the region in it", () => {
  expect(selectionInUrl({}, [10, 20, 30])).toBe("0,:,:");
  expect(selectionInUrl({ index: "4" }, [10, 20, 30])).toBe("4,:,:");
  expect(selectionInUrl({ index: "4,5", axes: "3,0" }, [10, 20, 30, 40])).toBe(":,4,5,:");
  expect(selectionInUrl({ index: "4", region: "1,2,3,4" }, [10, 20, 30])).toBe("4,1:2,3:4");
  expect(selectionInUrl({ region: "1,2,3,4" }, [20, 30])).toBe("1:2,3:4");
});

it("is the line in view", () => {
  expect(selectionInUrl({ as: "line", axis: "0", index: "7,8" }, [10, 20, 30])).toBe(":,7,8");
});

it("is nothing where all is seen", () => {
  expect(selectionInUrl({}, [20, 30])).toBe("");
  expect(selectionInUrl({}, [20])).toBe("");
});
