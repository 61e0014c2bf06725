import type { DatasetNode } from "../server/meta";

export function OpenIn(_: { file: readonly string[]; path: string; dataset: DatasetNode | undefined }) {
  return null;
}
