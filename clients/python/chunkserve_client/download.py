"""Downloads that go on where they ended: beside the target there is ``NAME.part`` until all of it has come.

A second file beside, ``NAME.part.json``, says of which version the part is.
"""

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from tqdm import tqdm

from chunkserve_client import loop
from chunkserve_client.errors import FileChanged, Unreachable
from chunkserve_client.place import Place
from chunkserve_client.transport import Answer, quoted

if TYPE_CHECKING:
    from chunkserve_client.arrays import Array

BLOCK = 64 << 20
"""Bytes of an array read and saved at once, about."""

NO_SUCH_RANGE = 416
MOST_BREAKS = 8
"""Times in a row that a connection may break without a byte between."""


def _bar(total: int, done: int, name: str) -> Any:
    """A progress bar, which shows nothing if there is no name."""
    return tqdm(total=total, initial=done, desc=name, unit="B", unit_scale=True, unit_divisor=1024, disable=not name)


def download(place: Place, target: str, *, progress: bool) -> None:
    """Save a file.

    Raises:
        FileChanged: It changed since the download began; the part is removed.
        ClientError: Another of its kinds; the part stays, and the next call goes on.
    """
    part = _Part(f"{place.options.url}/files/{quoted(place.file)}", f"{target}.part")
    with open(part.name, "r+b" if part.done else "wb") as out:
        out.seek(part.done)
        loop.run(_receive(place, part, out, progress))
    os.replace(part.name, target)
    os.remove(part.note)


class _Part:
    """What has come of a file, and of which version it is.

    Attributes:
        name, note: Of the files that hold them.
        done: Bytes that have come.
        etag: The version's validator; empty if nothing has come.
    """

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name, self.note = url, name, f"{name}.json"
        begun = _read_note(self.note)
        known = begun.get("url") == url and os.path.exists(name)
        self.done = os.path.getsize(name) if known else 0
        self.etag = str(begun.get("etag", "")) if self.done else ""

    def begin(self, etag: str) -> None:
        """Remember of which version it is."""
        self.etag = etag
        _write_note(self.note, {"url": self.url, "etag": etag})

    def changed(self) -> FileChanged:
        """Forget all; the error to raise."""
        for name in (self.name, self.note):
            if os.path.exists(name):
                os.remove(name)
        self.done, self.etag = 0, ""
        return FileChanged("the file changed since the download began; start again to get what is there now", self.url)


async def _receive(place: Place, part: _Part, out: BinaryIO, progress: bool) -> None:
    breaks = 0
    name = os.path.basename(part.name).removesuffix(".part")
    while True:
        try:
            await _go_on(place, part, out, name if progress else "")
        except Unreachable:
            breaks = 0 if out.tell() > part.done else breaks + 1
            part.done = out.tell()
            if breaks >= MOST_BREAKS or not part.etag:
                raise
            await place.transport.get("/healthz")  # waits, with growing pauses, until it is back
        else:
            return


async def _go_on(place: Place, part: _Part, out: BinaryIO, name: str) -> None:
    """Receive what is missing; progress is shown if there is a name."""
    headers = {"Accept-Encoding": "identity"}
    if part.done:
        headers |= {"Range": f"bytes={part.done}-", "If-Range": part.etag}
    path = f"/files/{quoted(place.file)}"
    bar = None
    try:
        async for answer, data in place.transport.stream(path, headers, frozenset({NO_SUCH_RANGE})):
            if bar is None:
                if answer.status == NO_SUCH_RANGE:
                    _check_complete(answer, part)
                    return
                _check_version(place, answer, part)
                part.begin(answer.etag)
                bar = _bar(part.done + int(answer.headers["Content-Length"]), part.done, name)
            await asyncio.to_thread(out.write, data)
            bar.update(len(data))
    finally:
        if bar is not None:
            bar.close()


def _check_version(place: Place, answer: Answer, part: _Part) -> None:
    """See that an answer goes on with the part, and is of the version that was opened."""
    goes_on = answer.status == 206 if part.done else True
    if not goes_on or answer.headers.get("X-Chunkserve-Version", place.version) != place.version:
        raise part.changed()


def _check_complete(answer: Answer, part: _Part) -> None:
    """See that nothing was missing when a range beyond the end was asked for."""
    size = answer.headers.get("Content-Range", "").rpartition("/")[2]
    if answer.etag not in ("", part.etag) or size != str(part.done):
        raise part.changed()


def save(array: "Array", target: str, *, progress: bool) -> None:
    """Write an array to a ``.npy`` file, block by block along its first axis.

    Raises:
        TypeError: Its elements are objects, which ``.npy`` cannot hold safely.
        FileChanged: It changed since an earlier attempt began; the part is removed.
    """
    if array.shape is None or array.dtype.hasobject:
        raise TypeError(f"elements of {array.dtype} cannot be saved as .npy; read them, and save them as you like")
    part, note = f"{target}.part", f"{target}.part.json"
    shape, dtype = (*array.shape, *array.type.dims), array.type.element
    about = {"url": array.place.url("zarr"), "level": array.place.level, "shape": list(shape), "dtype": str(dtype)}
    begun = _read_note(note)
    resumed = begun.get("about") == about and bool(array.place.version) and os.path.exists(part)
    done = int(begun.get("done", 0)) if resumed else 0
    out = np.lib.format.open_memmap(part, "r+" if resumed else "w+", dtype=dtype, shape=shape) if shape else None
    if out is None or not out.size:
        np.save(part, np.asarray(array[()]).astype(dtype))
        os.replace(f"{part}.npy", target)
        return
    row = out[0].nbytes
    step = _rows(array, row)
    with _bar(out.nbytes, done * row, os.path.basename(target) if progress else "") as bar:
        for at in range(done, shape[0], step):
            stop = min(at + step, shape[0])
            out[at:stop] = array[at:stop]
            out.flush()
            _write_note(note, {"about": about, "done": stop})
            bar.update((stop - at) * row)
    del out
    os.replace(part, target)
    os.remove(note)


def _rows(array: "Array", row: int) -> int:
    """Rows saved at once: whole chunks of about ``BLOCK`` bytes."""
    unit = array.chunks[0] if array.chunks else 1
    return max(1, BLOCK // max(1, row * unit)) * int(unit)


def _read_note(name: str) -> dict[str, Any]:
    try:
        with open(name) as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_note(name: str, content: dict[str, Any]) -> None:
    with open(f"{name}.new", "w") as file:
        json.dump(content, file)
    os.replace(f"{name}.new", name)
