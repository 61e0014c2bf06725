"""zarrita.js, the reader of browsers, reads what h5py reads. Needs Node 20 and, once, the npm registry."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve.metadata.keys import Format
from tests.conformance.conftest import Zoo, is_plain, names_in
from tests.npm import npm_package

VERSION = "0.7.5"

SCRIPT = """
import * as zarr from "zarrita";
const { url, format, names } = JSON.parse(await new Promise((done) => {
  let text = ""; process.stdin.on("data", (part) => (text += part)).on("end", () => done(text));
}));
const CTRS = { float64: Float64Array };  // of scalars
const open = format === 3 ? zarr.open.v3 : zarr.open.v2;
for (const name of names) {
  let found;
  try {
    const array = await open(new zarr.FetchStore(`${url}/${name}`), { kind: "array" });
    const whole = await zarr.get(array);
    const { data, shape } = array.shape.length ? whole : { data: new CTRS[array.dtype]([whole]), shape: [] };
    const texts = array.dtype === "string" || array.is("object") ? Array.from(data) : null;
    const view = texts ? null : ArrayBuffer.isView(data) ? data : Uint8Array.from(data, Number);
    found = { dtype: array.dtype, shape, texts };
    if (view) found.bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString("base64");
  } catch (error) {
    found = { error: String(error) };
  }
  console.log(JSON.stringify({ name, ...found }));
}
"""

ROOT = """
import * as zarr from "zarrita";
const store = await zarr.withConsolidatedMetadata(new zarr.FetchStore(process.argv[2]));
const root = await zarr.open(store, { kind: "group" });
console.log(JSON.stringify({ attributes: root.attrs, contents: store.contents() }));
"""


@pytest.fixture(scope="session")
def node() -> Path:
    """The ``node_modules`` with zarrita."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"Node {version.strip()} is older than 20")
    return npm_package("zarrita", VERSION)


def run(folder: Path, tmp_path: Path, script: str, *arguments: str, stdin: str = "") -> list[dict[str, object]]:
    """Lines of JSON that a script prints."""
    path = tmp_path / "script.mjs"
    path.write_text(script)
    (tmp_path / "node_modules").symlink_to(folder)
    done = subprocess.run(
        ["node", str(path), *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def read(node: Path, tmp_path: Path, zoo: Zoo, zarr_format: Format, names: list[str]) -> dict[str, dict[str, object]]:
    """What zarrita makes of arrays, by name."""
    order = json.dumps({"url": zoo.url(zarr_format), "format": zarr_format, "names": names})
    return {str(found.pop("name")): found for found in run(node, tmp_path, SCRIPT, stdin=order)}


def test_every_plain_dataset_equals_h5py(node: Path, tmp_path: Path, zoo: Zoo, zarr_format: Format) -> None:
    with h5py.File(zoo.path) as file:
        names = [name for name in names_in(zoo.path) if is_plain(file[name])]
    found = read(node, tmp_path, zoo, zarr_format, names)
    assert len(found) > 80
    for name, got in found.items():
        want = zoo.values(name)
        if not want.size:
            assert "empty iterator" in str(got["error"]), "zarrita reads arrays without elements now: say so here"
            continue
        assert "error" not in got, f"{name}: {got}"
        assert tuple(got["shape"]) == want.shape, name
        native = np.ascontiguousarray(want).astype(want.dtype.newbyteorder("="))
        values = np.frombuffer(base64.b64decode(str(got["bytes"])), native.dtype).reshape(want.shape)
        np.testing.assert_array_equal(values, native, err_msg=name)


def test_text_and_truth_values_equal_h5py(node: Path, tmp_path: Path, zoo: Zoo, zarr_format: Format) -> None:
    found = read(node, tmp_path, zoo, zarr_format, ["objects/text", "objects/bool", "objects/references"])
    assert found["objects/text"]["texts"] == zoo.values("objects/text").tolist()
    assert found["objects/references"]["texts"] == ["/objects/opaque", ""]
    assert list(base64.b64decode(str(found["objects/bool"]["bytes"]))) == [1, 0, 1]


def test_consolidated_metadata_name_every_array(node: Path, tmp_path: Path, zoo: Zoo, zarr_format: Format) -> None:
    (found,) = run(node, tmp_path, ROOT, zoo.url(zarr_format))
    assert found["attributes"]["title"] == "zoo"
    assert found["attributes"]["limits"] == ["NaN", "Infinity", "-Infinity", 1.5]
    paths = {entry["path"].lstrip("/") for entry in found["contents"] if entry["kind"] == "array"}
    assert paths >= set(names_in(zoo.path)) - {"objects/nested"}
