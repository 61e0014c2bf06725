import { useEffect, useState } from "react";
import { FilePage } from "./browse/FilePage";
import { FolderPage } from "./browse/FolderPage";
import { Header } from "./browse/Header";
import { prepare } from "./browse/NodePage";
import { Trouble } from "./browse/Trouble";
import { useMessages } from "./embed/usemessages";
import { here, usePlace } from "./location/useplace";
import { splitPath } from "./location/url";
import { type File, type Folder, lookUp } from "./server/catalogue";
import { useAsked } from "./server/useasked";

if (here().path.length > 0) prepare();

/** The page: what the URL leads to, below a header unless it is embedded. */
export function App() {
  const place = usePlace();
  const { mode, path } = place;
  useMessages(place);
  const { found, error } = useFound(path);
  const name = path.at(-1);
  useEffect(() => {
    document.title = name === undefined ? "chunkserve" : `${name} · chunkserve`;
  }, [name]);
  const isFile = found !== undefined && found.kind !== "folder";
  return (
    <div className={`page ${mode}`}>
      {mode === "view" && <Header path={path} fileAt={isFile ? splitPath(found.path).length : undefined} />}
      {error && <Trouble error={error} />}
      {found &&
        (found.kind === "folder" ? (
          <FolderPage key={found.path} folder={found} />
        ) : (
          <FilePage key={found.path} file={found} embedded={mode === "embed"} />
        ))}
    </div>
  );
}

/** The folder or file at a path. Who goes on inside a file that is known need not wait. */
function useFound(path: readonly string[]): { found?: Folder | File; error?: Error | undefined } {
  const [kept, setKept] = useState<File>();
  const inside = kept && insideOf(kept, path);
  const name = kept && inside !== undefined ? kept.path : path.join("/");
  const asked = useAsked(`look up ${name}`, (signal) => lookUp(path, signal));
  const value = asked.value;
  if (value && value.kind !== "folder" && value.path !== kept?.path) setKept(value);
  if (kept && inside !== undefined) return { found: { ...kept, inside } };
  return value ? { found: value } : { error: asked.error };
}

/** The path inside a file that is left of a path, if it leads into the file. */
function insideOf(file: File, path: readonly string[]): string | undefined {
  const parts = splitPath(file.path);
  if (parts.some((part, i) => part !== path[i])) return undefined;
  return `/${path.slice(parts.length).join("/")}`;
}
