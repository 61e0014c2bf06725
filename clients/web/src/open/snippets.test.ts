import { describe, expect, it } from "vitest";
import { downloads, snippetsFor, type Subject } from "./snippets";

const subject: Subject = {
  base: "https://lab.example/data",
  file: ["raw", "run 1.nxs"],
  path: "/entry/data/data",
  shape: [10, 20, 30],
  numeric: true,
  window: [3, 99],
};
const code = (name: string, change: Partial<Subject> = {}) =>
  snippetsFor({ ...subject, ...change }).find((snippet) => snippet.name === name)?.code ?? "";

describe("snippets", () => {
  it("name the server, the file and the path", () => {
    expect(code("chunkserve client")).toContain('connect("https://lab.example/data")["raw/run 1.nxs"]["/entry/data/data"]');
    expect(code("zarr")).toContain('zarr.open("https://lab.example/data/zarr/raw/run%201.nxs/entry/data/data"');
    expect(code("xarray")).toContain('/entry/data", chunks={})["data"]');
    expect(code("h5py")).toContain('urlretrieve("https://lab.example/data/files/raw/run%201.nxs", "run 1.nxs")');
  });

  it("carry the contrast", () => {
    const state = JSON.parse(decodeURIComponent(code("Neuroglancer").split("#!")[1] ?? "")) as { layers: unknown[] };
    expect(state.layers[0]).toMatchObject({ shaderControls: { normalized: { range: [3, 99] } } });
    expect(code("napari")).toContain("contrast_limits=[3, 99]");
  });

  it("are for what can be opened", () => {
    expect(code("napari", { shape: [5] })).toBe("");
    expect(code("xarray", { shape: undefined })).toContain('/zarr/raw/run%201.nxs/entry/data/data", chunks={})');
  });
});

it("downloads have the formats that fit", () => {
  const names = (found: { name: string }[]) => found.map(({ name }) => name);
  expect(names(downloads(subject))).toEqual(["whole file", "npy", "tiff", "h5", "json"]);
  expect(names(downloads(subject, "3,0:5,2:4"))).toEqual(["whole file", "npy", "csv", "tiff", "h5", "json"]);
  expect(names(downloads({ ...subject, shape: [5], numeric: false }))).toEqual(["whole file", "npy", "csv", "h5", "json"]);
  expect(names(downloads({ ...subject, shape: undefined }))).toEqual(["whole file"]);
  expect(downloads(subject, "3,0:5,2:4")[1]?.href).toBe(
    "https://lab.example/data/slice/raw/run%201.nxs/entry/data/data?format=npy&download=1&sel=3,0:5,2:4",
  );
});
