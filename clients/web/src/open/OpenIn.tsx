import { useEffect, useState } from "react";
import { withoutCredentials } from "../location/carried";
import { formatPlace } from "../location/url";
import { here, useQuery } from "../location/useplace";
import type { DatasetNode } from "../server/meta";
import { isNumeric } from "../server/values";
import { Download } from "./Download";
import { Popup } from "./Popup";
import { downloads, type Snippet, snippetsFor, type Subject } from "./snippets";
import { selectionInUrl } from "./selection";

interface Props {
  file: readonly string[];
  path: string;
  dataset: DatasetNode | undefined;
}

/** Ways on: other programs, downloads, and the link to what is seen. */
export function OpenIn({ file, path, dataset }: Props) {
  const [query] = useQuery();
  const { vmin, vmax } = query;
  const subject: Subject = {
    base: document.baseURI.replace(/\/+$/, ""),
    file,
    path,
    shape: dataset?.shape ?? undefined,
    numeric: dataset !== undefined && isNumeric(dataset.type),
    window: vmin && vmax ? [Number(vmin), Number(vmax)] : undefined,
  };
  const part = dataset?.shape ? selectionInUrl(query, dataset.shape) : "";
  return (
    <>
      <Popup title="Download">
        <ul className="downloads">
          {downloads(subject).map(({ name, href }) => (
            <li key={name}>
              <Download href={href}>{name === "whole file" ? `the file ${file.at(-1) ?? ""}` : `dataset as ${name}`}</Download>
            </li>
          ))}
          {part &&
            downloads(subject, part)
              .slice(1)
              .map(({ name, href }) => (
                <li key={`part ${name}`}>
                  <Download href={href}>this selection as {name}</Download>
                </li>
              ))}
        </ul>
        {part && <p className="hint">selection: {part}</p>}
      </Popup>
      <Popup title="Open in">
        {snippetsFor(subject).map((snippet) => (
          <SnippetRow key={snippet.name} snippet={snippet} />
        ))}
      </Popup>
      <CopyButton text={linkHere} title="Copy a link to this view">
        Link
      </CopyButton>
    </>
  );
}

/** The URL of this view, without what shows who has asked. */
function linkHere(): string {
  const place = here();
  return new URL(formatPlace({ ...place, query: withoutCredentials(place.query) }), document.baseURI).href;
}

function SnippetRow({ snippet }: { snippet: Snippet }) {
  return (
    <div className="snippet">
      <div className="snippet-head">
        <b>{snippet.name}</b>
        <span className="spring" />
        {snippet.language === "link" && (
          <a className="plain-button" href={snippet.code} target="_blank" rel="noreferrer">
            Open
          </a>
        )}
        <CopyButton text={() => snippet.code} title={`Copy for ${snippet.name}`}>
          Copy
        </CopyButton>
      </div>
      <pre tabIndex={0}>{snippet.language === "link" ? decodeURIComponent(snippet.code) : snippet.code}</pre>
    </div>
  );
}

function CopyButton({ text, title, children }: { text: () => string; title: string; children: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button type="button" className="plain-button" title={title} onClick={() => void copy(text()).then(() => setDone(true))}>
      {done ? "Copied" : children}
    </button>
  );
}

/** To the clipboard; the old way where pages that did not come by HTTPS may not use the new one. */
async function copy(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- there is no other way without a secure context
  document.execCommand("copy");
  area.remove();
}
