import { askJson, urlOf } from "./fetch";

/** Results by operation: numbers, or nested lists of them. */
export interface Reduced {
  shape: number[];
  elements: number;
  results: Record<string, { values: unknown }>;
}

/** A selection of a dataset reduced on the server, over all its axes unless `axis` says which. */
export function reduce(
  path: readonly string[],
  operations: readonly string[],
  parameters: Record<string, string>,
  signal?: AbortSignal,
): Promise<Reduced> {
  return askJson(urlOf("reduce", path, { op: operations.join(","), format: "json", ...parameters }), signal);
}

/** The one number that an operation over all axes gives; what JSON has no number for is given by name. */
export function numberOf(reduced: Reduced, operation: string): number | string | undefined {
  const value = reduced.results[operation]?.values;
  return typeof value === "number" || typeof value === "string" ? value : undefined;
}
