/** Code and links that open what is looked at in other programs: exact, to be pasted as they are. */

export interface Subject {
  /** The server's URL, without a slash at its end. */
  base: string;
  /** Components of the file's path below it. */
  file: readonly string[];
  /** The path inside, beginning with a slash. */
  path: string;
  /** Of the dataset; undefined for a group. */
  shape: readonly number[] | undefined;
  numeric: boolean;
  /** Names and units of its axes as OME-Zarr has them, and the window, if it has a pyramid. */
  window?: readonly [number, number] | undefined;
}

export interface Snippet {
  name: string;
  language: "python" | "link" | "shell";
  code: string;
}

export function snippetsFor(subject: Subject): Snippet[] {
  const { file, path, shape, numeric } = subject;
  const isImage = shape !== undefined && numeric && shape.length >= 2 && shape.length <= 5;
  const found: Snippet[] = [python("xarray", xarray(subject)), python("zarr", zarr(subject)), python("chunkserve client", client(subject))];
  if (isImage) {
    found.push({ name: "Neuroglancer", language: "link", code: neuroglancer(subject) });
    found.push(python("napari", napari(subject)));
  }
  const name = file.at(-1) ?? "";
  const code = `import h5py\nfrom urllib.request import urlretrieve\n\nurlretrieve(${quote(url(subject, "files"))}, ${quote(name)})\nwith h5py.File(${quote(name)}) as file:\n    print(file[${quote(path)}])`;
  found.push(python("h5py", code));
  found.push({ name: "curl", language: "shell", code: `curl -O -C - '${url(subject, "files").replaceAll("'", "%27")}'` });
  return found;
}

/** Formats that a dataset, or a part of it, can be downloaded in. */
export function downloads(subject: Subject, sel = ""): { name: string; href: string }[] {
  const { shape, numeric } = subject;
  const found = [{ name: "whole file", href: url(subject, "files") }];
  if (shape === undefined) return found;
  const rank = sel ? sel.split(",").filter((part) => part.includes(":")).length : shape.length;
  const formats = ["npy", ...(rank <= 2 ? ["csv"] : []), ...(numeric && rank >= 2 && rank <= 3 ? ["tiff"] : []), "h5", "json"];
  const query = sel ? `&sel=${sel}` : "";
  return [...found, ...formats.map((name) => ({ name, href: `${url(subject, "slice", path(subject))}?format=${name}&download=1${query}` }))];
}

function python(name: string, code: string): Snippet {
  return { name, language: "python", code };
}

function path({ path: inside }: Subject): string[] {
  return inside.split("/").filter((part) => part !== "");
}

function url({ base, file }: Subject, face: string, inside: readonly string[] = []): string {
  return [base, face, ...[...file, ...inside].map(encodeURIComponent)].join("/").replaceAll("%2C", ",");
}

function xarray(subject: Subject): string {
  const inside = path(subject);
  if (subject.shape === undefined) return `import xarray\n\ndata = xarray.open_zarr(${quote(url(subject, "zarr", inside))}, chunks={})`;
  const group = url(subject, "zarr", inside.slice(0, -1));
  return `import xarray\n\ndata = xarray.open_zarr(${quote(group)}, chunks={})[${quote(inside.at(-1) ?? "")}]`;
}

function zarr(subject: Subject): string {
  return `import zarr\n\ndata = zarr.open(${quote(url(subject, "zarr", path(subject)))}, mode="r")`;
}

function client(subject: Subject): string {
  const { base, file, path: inside } = subject;
  return `from chunkserve_client import connect\n\ndata = connect(${quote(base)})[${quote(file.join("/"))}][${quote(inside)}]`;
}

function napari(subject: Subject): string {
  const contrast = subject.window ? `, contrast_limits=[${subject.window.join(", ")}]` : "";
  return `import json
from urllib.request import urlopen

import dask.array
import napari

url = ${quote(url(subject, "ome", path(subject)))}
with urlopen(f"{url}/zarr.json") as reply:
    datasets = json.load(reply)["attributes"]["ome"]["multiscales"][0]["datasets"]
levels = [dask.array.from_zarr(f"{url}/{dataset['path']}") for dataset in datasets]
napari.view_image(levels, multiscale=True${contrast})
napari.run()`;
}

function neuroglancer(subject: Subject): string {
  const layer: Record<string, unknown> = { type: "auto", source: `${url(subject, "ome", path(subject))}/|zarr3:`, name: path(subject).at(-1) ?? "data" };
  if (subject.window) {
    layer["type"] = "image";
    layer["shaderControls"] = { normalized: { range: subject.window } };
  }
  const state = { layers: [layer], layout: subject.shape?.length === 2 ? "xy" : "4panel" };
  return `https://neuroglancer-demo.appspot.com/#!${encodeURIComponent(JSON.stringify(state))}`;
}

/** As Python writes text. */
function quote(text: string): string {
  return JSON.stringify(text);
}
