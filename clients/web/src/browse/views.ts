/** The ways to look at a dataset, and which one fits best. */

import type { DatasetNode } from "../server/meta";
import { isNumeric, textOf } from "../server/values";

export type ViewName = "map" | "image" | "line" | "table" | "h5web" | "details";

export const TITLES: Record<ViewName, string> = {
  map: "Map",
  image: "Image",
  line: "Line",
  table: "Table",
  h5web: "H5Web",
  details: "Details",
};

/** The least elements along each side of what is worth an image. */
const LEAST_SIDE = 3;

/** Views that can show a dataset, the best first. */
export function viewsOf(dataset: DatasetNode): ViewName[] {
  const shape = dataset.shape;
  if (shape === null || shape.length === 0) return ["details", "h5web"];
  const found: ViewName[] = [];
  if (isNumeric(dataset.type)) {
    const isImage = shape.length >= 2 && shape.slice(-2).every((extent) => extent >= LEAST_SIDE);
    if (isCube(dataset, shape)) found.push("map");
    if (isImage) found.push("image");
    if (shape.some((extent) => extent > 1)) found.push("line");
    if (!isImage && shape.length >= 2) found.push("image");
  }
  return [...found, "table", "h5web", "details"];
}

/** Whether every point of a plane has a spectrum, and the file says so. */
function isCube(dataset: DatasetNode, shape: readonly number[]): boolean {
  return shape.length === 3 && textOf(dataset.attributes["interpretation"]) === "spectrum";
}
