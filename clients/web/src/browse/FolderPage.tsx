import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import type { Entry, Folder } from "../server/catalogue";
import { Download } from "../open/Download";
import { plainUrl } from "../server/fetch";
import { formatDate, formatSize } from "../server/format";
import { splitPath } from "../location/url";
import { matcher } from "./filter";
import { Link } from "./Link";
import { Search } from "./Search";
import { useWindow } from "./usewindow";

const ROW = 38;
type Order = "name" | "size" | "modified";

/** The members of a folder: filtered while one types, sorted by a click; below them what is found in all files. */
export function FolderPage({ folder }: { folder: Folder }) {
  const [typed, setTyped] = useState("");
  const [order, setOrder] = useState<Order>("name");
  const page = useRef<HTMLElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useMemo(
    () => sorted(folder.entries, order).filter((entry) => matcher(typed)(entry.name)),
    [folder, typed, order],
  );
  const [first, last] = useWindow(scroller, rows.length, ROW);
  const path = splitPath(folder.path);
  const walk = (event: KeyboardEvent) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const links = [...(page.current?.querySelectorAll<HTMLAnchorElement>("a.entry, a.result") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    links[event.key === "ArrowDown" ? at + 1 : Math.max(0, at - 1)]?.focus();
    event.preventDefault();
  };
  return (
    <main className="folder-page" onKeyDown={walk} ref={page}>
      <div className="folder-head">
        <h1>{path.at(-1) ?? "Files"}</h1>
        <input
          type="search"
          className="filter"
          placeholder="Filter names, search all files"
          aria-label="Filter names, search all files"
          autoFocus
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        <span className="count" role="status">
          {rows.length === folder.entries.length ? rows.length : `${rows.length} of ${folder.entries.length}`}
        </span>
      </div>
      <div className="columns">
        {(["name", "size", "modified"] as const).map((name) => (
          <button key={name} type="button" className={name} aria-pressed={order === name} onClick={() => setOrder(name)}>
            {name}
          </button>
        ))}
      </div>
      <div className="rows" ref={scroller} tabIndex={-1}>
        <ul style={{ height: rows.length * ROW }} aria-label="Files and folders">
          {rows.slice(first, last).map((entry, i) => (
            <li key={entry.name} style={{ top: (first + i) * ROW, height: ROW }}>
              <Row entry={entry} path={path} />
            </li>
          ))}
        </ul>
        {rows.length === 0 && <p className="nothing">{typed ? "No name matches." : "This folder is empty."}</p>}
      </div>
      <Search typed={typed} below={folder.path} />
    </main>
  );
}

function Row({ entry, path }: { entry: Entry; path: string[] }) {
  const to = [...path, entry.name];
  const cells = (
    <>
      <span className="name">
        <span className={`kind ${entry.kind}`} aria-hidden="true" />
        {entry.name}
        {entry.kind === "folder" && <span className="hidden"> (folder)</span>}
      </span>
      <span className="size">{entry.size === undefined ? "" : formatSize(entry.size)}</span>
      <span className="modified">{entry.modified === undefined ? "" : formatDate(entry.modified)}</span>
    </>
  );
  if (entry.kind === "file")
    return (
      <Download className="entry" href={plainUrl("files", to)} title="Download: no HDF5 file by its name">
        {cells}
      </Download>
    );
  return (
    <Link className="entry" to={to}>
      {cells}
    </Link>
  );
}

function sorted(entries: Entry[], order: Order): Entry[] {
  if (order === "name") return entries;
  return [...entries].sort((a, b) => (b[order] ?? -1) - (a[order] ?? -1));
}
