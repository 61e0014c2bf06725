import { askJson, urlOf } from "./fetch";
import { cellsOf, type Value } from "./values";

/** Results by operation, each one number. */
export type Reduced = Record<string, number | bigint | null>;

/** Numbers about a selection of a dataset, reduced over all its axes on the server. */
export async function reduce(
  path: readonly string[],
  operations: readonly string[],
  parameters: Record<string, string>,
  signal?: AbortSignal,
): Promise<Reduced> {
  const url = urlOf("reduce", path, { op: operations.join(","), format: "json", ...parameters });
  const { results } = await askJson<{ results: Record<string, Value> }>(url, signal);
  return Object.fromEntries(
    Object.entries(results).map(([name, value]) => {
      const cell = cellsOf(value, 1)[0];
      return [name, typeof cell === "number" || typeof cell === "bigint" ? cell : null];
    }),
  );
}
