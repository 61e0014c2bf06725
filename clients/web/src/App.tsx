import { useEffect } from "react";
import { FilePage } from "./browse/FilePage";
import { FolderPage } from "./browse/FolderPage";
import { Header } from "./browse/Header";
import { Trouble } from "./browse/Trouble";
import { useMessages } from "./embed/usemessages";
import { usePlace } from "./location/useplace";
import { splitPath } from "./location/url";
import { lookUp } from "./server/catalogue";
import { useAsked } from "./server/useasked";

/** The page: what the URL leads to, below a header unless it is embedded. */
export function App() {
  const place = usePlace();
  const { mode, path } = place;
  useMessages(place);
  const file = useAsked(`look up ${path.join("/")}`, (signal) => lookUp(path, signal));
  const name = path.at(-1);
  useEffect(() => {
    document.title = name === undefined ? "chunkserve" : `${name} · chunkserve`;
  }, [name]);
  const inside = file.state === "there" && file.value.kind !== "folder" ? splitPath(file.value.inside).length : 0;
  const isFile = file.state === "there" && file.value.kind !== "folder";
  return (
    <div className={`page ${mode}`}>
      {mode === "view" && <Header path={path} fileAt={isFile ? path.length - inside : undefined} />}
      {file.state === "failed" && <Trouble error={file.error} />}
      {file.state === "there" &&
        (file.value.kind === "folder" ? (
          <FolderPage key={file.value.path} folder={file.value} />
        ) : (
          <FilePage key={file.value.path} file={file.value} embedded={mode === "embed"} />
        ))}
    </div>
  );
}
