import { useState } from "react";
import { splitPath } from "../location/url";
import type { File } from "../server/catalogue";
import { formatDate, formatSize } from "../server/format";
import { NodePage } from "./NodePage";
import { OpenWhole } from "../embed/OpenWhole";
import { Tree } from "./Tree";

/** A file: its tree beside what is chosen in it. Embedded, only the latter. */
export function FilePage({ file, embedded }: { file: File; embedded: boolean }) {
  const path = splitPath(file.path);
  const [narrowOpen, setNarrowOpen] = useState(false);
  if (embedded)
    return (
      <main className="node-page">
        <NodePage file={path} inside={file.inside} embedded />
        <OpenWhole />
      </main>
    );
  return (
    <div className={`file-page ${narrowOpen ? "tree-open" : ""}`}>
      <aside className="side" aria-label="File">
        <button
          type="button"
          className="side-toggle"
          aria-expanded={narrowOpen}
          onClick={() => setNarrowOpen((open) => !open)}
        >
          Contents
        </button>
        <div className="side-body">
          <Tree file={path} inside={file.inside} />
          <p className="file-facts">
            {formatSize(file.size)} · {formatDate(file.modified)}
          </p>
        </div>
      </aside>
      <main className="node-page">
        <NodePage file={path} inside={file.inside} />
      </main>
    </div>
  );
}
