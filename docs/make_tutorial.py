"""Write the tutorial: run its cells against sample data, and keep what they show.

python docs/make_tutorial.py             # writes docs/tutorial.ipynb
python docs/make_tutorial.py --check     # runs the notebook that is there, and writes nothing
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NOTEBOOK = Path(__file__).with_name("tutorial.ipynb")

CELLS = """
# Read HDF5 files over the network

`chunkserve_client` reads files behind a chunkserve as h5py reads local ones. To follow, run `.ci/demo` in one terminal
(it makes sample data and serves them), and in another:

    pip install 'chunkserve-client[all]' matplotlib jupyterlab
    export CHUNKSERVE_URL=http://127.0.0.1:8000
    jupyter lab docs/tutorial.ipynb
---
import numpy as np
from chunkserve_client import connect

srv = connect()  # the URL is in CHUNKSERVE_URL; connect("https://data.example.org", token="...") does the same
srv.ls()
---
## Files and groups

A file is a mapping. It stays the version that was opened: when somebody replaces it, reading raises `FileChanged`.
---
f = srv["tomography.nxs"]
print(f.tree())
---
f["entry"].attrs["NX_class"], list(f["entry"]), "entry/data/data" in f
---
## Datasets

Nothing is read until a dataset is indexed, by h5py's rules. A notebook shows a small picture of it.
---
d = f["/entry/data/data"]
d
---
frame = d[10]
print(frame.shape, frame.dtype, frame.mean())
print(d[10, ::64, 100:200:25])
print(d[[1, 5, 9], 100, 100])
---
Whole chunks are fetched as they are stored, in parallel, and decoded here; of thin or strided selections the server
sends just the elements. `plan` says what would happen.
---
for key in (np.s_[...], np.s_[10], np.s_[:, 100, 100]):
    plan = d.plan(key)
    print(f"{plan.way:7} {plan.requests:4} requests {plan.bytes:>11,} bytes  {plan.why}")
---
## Large data: levels, and reductions next to the data

Every large numeric dataset has a pyramid: coarser copies that the server makes when they are first asked for.
---
frames = srv["diffraction.h5::/entry/data/data"]
for info in frames.levels:
    print(info)
---
coarse = frames.level(1)
print(coarse[10].shape, float(np.mean(coarse)))
---
Reductions run on the server; only results travel.
---
profile = d.sum(axis=(1, 2))
print(profile.shape, profile.dtype, np.max(d), np.mean(d, axis=0).shape)
counts, edges = np.histogram(d, bins=8)
print(counts)
---
d.thumbnail(256, index=10, cmap="magma")
---
## Other libraries

xarray gets the variables of a group with their coordinates, lazily.
---
climate = srv["climate.nc"].to_xarray()
climate.temperature.sel(lat=slice(-30, 30)).mean().item(), climate.temperature.dims
---
lazy = d.to_dask()
print(lazy.chunksize, float((lazy[:4] / lazy[:4].mean()).std().compute()))
---
d.to_zarr()
---
## Downloads

They go on where they ended.
---
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
f.download(str(folder / "tomography.nxs"), progress=False)
d.save(str(folder / "data.npy"), progress=False)
[(path.name, path.stat().st_size > 0) for path in sorted(folder.iterdir())]
"""


def notebook() -> nbformat.NotebookNode:
    """The tutorial without outputs."""
    cells = []
    for text in CELLS.strip().split("\n---\n"):
        prose = text.startswith("#") or not _is_code(text)
        cells.append(new_markdown_cell(text) if prose else new_code_cell(text))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _is_code(text: str) -> bool:
    try:
        compile(text, "cell", "exec")
    except SyntaxError:
        return False
    return True


@contextmanager
def sample_server() -> Iterator[str]:
    """A server over the sample data; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--folder={folder}/data", f"--cache-dir={folder}/cache", "--port=0", "--settle=0"]
        words = [sys.executable, "-m", "chunkserve", "demo", *flags]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            url = next(found[0] for line in process.stdout if (found := re.search(r"http://[\d.:]+", line)))
            yield url
        finally:
            process.terminate()
            process.communicate()


def run(book: nbformat.NotebookNode) -> None:
    """Run all cells, keeping their outputs."""
    with sample_server() as url:
        os.environ["CHUNKSERVE_URL"] = url
        NotebookClient(book, timeout=300, kernel_name="python3").execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            for shown in (output, output.get("data", {})):
                for kind in ("text", "text/plain", "text/html"):
                    if kind in shown:
                        shown[kind] = shown[kind].replace(url, "http://127.0.0.1:8000")


def main() -> None:
    """Write the notebook, or run the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="run the notebook that is there, and write nothing")
    if parser.parse_args().check:
        book = nbformat.read(NOTEBOOK, as_version=4)
        sources = [cell.source for cell in book.cells]
        if sources != [cell.source for cell in notebook().cells]:
            sys.exit(f"{NOTEBOOK} is not what {__file__} has: run it to write the notebook anew")
        run(book)
        return
    book = notebook()
    run(book)
    nbformat.write(book, NOTEBOOK)


if __name__ == "__main__":
    main()
