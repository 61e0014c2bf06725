"""The front page where the viewer was not built: what is served here, and how to open it."""

import html

from chunkserve import __version__
from chunkserve.faces.respond import Request
from chunkserve.service.store import Store

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>chunkserve</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:16px/1.55 system-ui,sans-serif;margin:2.5rem auto;max-width:50rem;padding:0 1rem}}
a{{color:#0b57d0;text-decoration:none}}a:hover{{text-decoration:underline}}
pre{{background:#f3f4f6;padding:1rem;border-radius:.5rem;overflow:auto}}code{{font:14px/1.5 ui-monospace,monospace}}
@media(prefers-color-scheme:dark){{body{{background:#111;color:#ddd}}a{{color:#8ab4f8}}pre{{background:#222}}}}
</style></head><body><h1>chunkserve <small>{version}</small></h1>
<p><strong>The viewer is not built.</strong> In the sources, run <code>npm ci &amp;&amp; npm run build</code> in
<code>clients/web</code> (Node.js 20.19 or later), then load this page again. Packages of chunkserve contain it.</p>
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


def home_page(request: Request, store: Store, up: str = "./") -> bytes:
    """Links to the roots, and snippets, as HTML; ``up`` leads from the page to where the faces are."""
    host = request.headers.get(b"host", b"localhost").decode("latin-1")
    names = store.root_names()
    links = (
        f'<li><a href="{up}zarr/{html.escape(name)}{"/" if name else ""}">{html.escape(name or "files")}</a></li>'
        for name in names
    )
    base = html.escape(f"{request.scheme}://{host}")
    return _PAGE.format(version=__version__, roots="".join(links), base=base).encode()
