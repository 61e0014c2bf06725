/** Tables: records, or rows and columns, a page at a time. */

import type { DatasetNode } from "../server/meta";
import type { Type } from "../server/values";

export const PAGE = 200;
const MOST_COLUMNS = 200;

export interface Layout {
  /** Headers of the columns. */
  columns: string[];
  rows: number;
  /** The field of each column of records. */
  fields: { name: string; type: Type }[] | undefined;
}

export function layoutOf(dataset: DatasetNode): Layout {
  const shape = dataset.shape ?? [];
  const rows = shape.length >= 2 ? (shape.at(-2) ?? 1) : (shape[0] ?? 1);
  const fields = dataset.type.class === "compound" ? dataset.type.fields : undefined;
  if (fields) return { columns: fields.map(({ name }) => name), rows: shape.reduce((a, b) => a * b, 1) && (shape[0] ?? 1), fields };
  const width = shape.length >= 2 ? Math.min(shape.at(-1) ?? 1, MOST_COLUMNS) : 1;
  return { columns: Array.from({ length: width }, (_, i) => (shape.length >= 2 ? String(i) : "value")), rows, fields: undefined };
}

/** The selection of a page, rows from `first`. */
export function pageSelection(shape: readonly number[], index: readonly number[], first: number, isRecord: boolean): string {
  if (shape.length === 0) return "";
  const part = `${first}:${first + PAGE}`;
  if (isRecord) return [part, ...shape.slice(1).map((_, i) => String(index[i] ?? 0))].join(",");
  if (shape.length === 1) return part;
  return [...shape.slice(0, -2).map((_, i) => String(index[i] ?? 0)), part, `0:${MOST_COLUMNS}`].join(",");
}

/** Rows of cells from what `/slice` answers as JSON. */
export function cellsOfPage(values: unknown, layout: Layout): unknown[][] {
  if (!Array.isArray(values)) return [[values]];
  return values.map((row: unknown) => {
    const { fields } = layout;
    if (fields) return Array.isArray(row) ? (row as unknown[]) : fields.map(({ name }) => (row as Record<string, unknown>)[name]);
    return Array.isArray(row) && layout.columns[0] !== "value" ? (row as unknown[]) : [row];
  });
}
