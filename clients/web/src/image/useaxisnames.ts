import { splitPath } from "../location/url";
import { type DatasetNode, lookInto } from "../server/meta";
import { useAsked } from "../server/useasked";
import { textsOf } from "../server/values";

const NONE: readonly string[] = [];

/** Names of a dataset's axes as its NXdata group has them, one for each; else those of its dimensions, or none. */
export function useAxisNames(file: readonly string[], path: string, dataset: DatasetNode): readonly string[] {
  const parent = splitPath(path).slice(0, -1);
  const asked = useAsked(`axes ${file.join("/")} ${path}`, async () => {
    const { node } = await lookInto([...file, ...parent]);
    if (node.kind !== "group") return NONE;
    const told = textsOf(node.attributes["axes"]);
    return told.length === dataset.shape?.length ? told : NONE;
  });
  return asked.value ?? NONE;
}
