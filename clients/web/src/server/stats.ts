import { askJson, urlOf } from "./fetch";

/** What `/stats` says of a dataset (docs/tiles.md). */
export interface Statistics {
  count: number;
  valid: number;
  masked: number;
  nan: number;
  infinite: number;
  saturated: number;
  sampled: boolean;
  values: {
    min: number;
    max: number;
    min_positive: number | null;
    mean: number | null;
    std: number | null;
    percentiles: Record<string, number | null>;
    windows: Record<"minmax" | "robust" | "stddev3" | "log", [number | null, number | null] | null>;
  } | null;
}

export function statistics(path: readonly string[], axes: string, method: string, signal?: AbortSignal): Promise<Statistics> {
  return askJson(urlOf("stats", path, { axes, method }), signal);
}
