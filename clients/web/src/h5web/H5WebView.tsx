import "@h5web/app/styles.css";
import { App, createBasicFetcher, enableBigIntSerialization, type Fetcher, type GetExportURL, H5GroveProvider } from "@h5web/app";
import { useMemo, useState } from "react";
import { here, useQuery } from "../location/useplace";
import { plainUrl } from "../server/fetch";
import type { DatasetNode } from "../server/meta";
import { carried, hasCredentials, headers } from "../server/session";
import { signed } from "../server/signed";
import { sizeOf } from "../server/values";
import { levelForTexture, planeOf } from "./limits";

interface Props {
  file: readonly string[];
  path: string;
  dataset: DatasetNode | undefined;
}

enableBigIntSerialization();

/** H5Web's requests, with who asks and what a portal has put into the page's URL. */
function passingOn(): Fetcher {
  const fetcher = createBasicFetcher({ headers: headers() });
  return (url, parameters, options) => fetcher(url, { ...carried(), ...parameters }, options);
}

/** What H5Web exports by a link is signed when it is followed; where that is not needed H5Web's own way is good. */
function exporting(file: string): GetExportURL {
  return (format, { path }, selection, builtIn) => {
    if (builtIn || !hasCredentials()) return undefined;
    const parameters = { file, path, format, ...(selection ? { selection } : {}) };
    return async () => new URL(await signed(plainUrl("h5grove/data", [], parameters)));
  };
}

/** H5Web over the file; on a coarser level of it, if a plane would not fit into a texture or be long in coming. */
export default function H5WebView({ file, path, dataset }: Props) {
  const [, change] = useQuery();
  const plane = dataset ? planeOf(dataset.shape ?? []) : undefined;
  const wanted = plane && dataset ? levelForTexture(plane, sizeOf(dataset.type), maxTexture()) : 0;
  const [full, setFull] = useState(false);
  const level = full ? 0 : wanted;
  const url = useMemo(() => new URL("h5grove", document.baseURI).href, []);
  const name = file.join("/") + (level ? `;level=${level}` : "");
  const fetcher = useMemo(() => passingOn(), []);
  const getExportURL = useMemo(() => exporting(name), [name]);
  return (
    <div className="h5web-view">
      {wanted > 0 && plane && (
        <p className="notice" role="status">
          {level > 0
            ? `Planes of ${plane.join(" × ")} are more than H5Web can draw at once: all images are shown ${2 ** level} times smaller.`
            : `Planes of ${plane.join(" × ")}: H5Web may take long, or show a single colour.`}{" "}
          <button type="button" className="plain-button" onClick={() => change({ as: "image" })}>
            Deep view, every pixel
          </button>{" "}
          <button type="button" className="plain-button" onClick={() => setFull(!full)}>
            {full ? "Smaller" : "Full size all the same"}
          </button>
        </p>
      )}
      <div className="h5web">
        <H5GroveProvider key={name} url={url} filepath={name} {...{ fetcher, getExportURL }}>
          <App initialPath={path} sidebarOpen={here().mode === "embed"} />
        </H5GroveProvider>
      </div>
    </div>
  );
}

let known: number | undefined;

/** The longest side of a texture that the graphics card takes. */
function maxTexture(): number {
  if (known === undefined) {
    const gl = document.createElement("canvas").getContext("webgl2");
    known = (gl?.getParameter(gl.MAX_TEXTURE_SIZE) as number | undefined) ?? 4096;
    gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return known;
}
