"""The front page: what is served here, and how to open it."""

import html

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from chunkserve import __version__
from chunkserve.service.store import Store

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>chunkserve</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:16px/1.55 system-ui,sans-serif;margin:2.5rem auto;max-width:50rem;padding:0 1rem}}
a{{color:#0b57d0;text-decoration:none}}a:hover{{text-decoration:underline}}
pre{{background:#f3f4f6;padding:1rem;border-radius:.5rem;overflow:auto}}code{{font:14px/1.5 ui-monospace,monospace}}
@media(prefers-color-scheme:dark){{body{{background:#111;color:#ddd}}a{{color:#8ab4f8}}pre{{background:#222}}}}
</style></head><body><h1>chunkserve <small>{version}</small></h1>
<p>HDF5, NeXus and netCDF-4 files, served as Zarr where they lie. FILE is a path below,
PATH a dataset or group in it.</p>
<ul>{roots}</ul>
<pre><code># Zarr v3; /zarr2/ is v2
xarray.open_zarr("{base}/zarr/FILE")
zarr.open("{base}/zarr/FILE/PATH", mode="r")

# OME-Zarr with coarser levels, for Neuroglancer, napari, vizarr
{base}/ome/FILE/PATH

# a picture, Deep Zoom, statistics
{base}/tiles/FILE/PATH/0/0/0.png
{base}/dzi/FILE/PATH.dzi
{base}/stats/FILE/PATH

# the file itself
curl -O -C - {base}/files/FILE</code></pre>
</body></html>"""


async def home(request: Request) -> Response:
    """Links to the roots, and snippets."""
    store: Store = request.app.state.store
    base = str(request.base_url).rstrip("/")
    names = [root.name for root in store.roots.roots if root.listed]
    links = (
        f'<li><a href="zarr/{html.escape(name)}{"/" if name else ""}">{html.escape(name or "files")}</a></li>'
        for name in names
    )
    return HTMLResponse(_PAGE.format(version=__version__, roots="".join(links), base=html.escape(base)))
