"""Downloads that go on where they ended: beside the target there is ``NAME.part`` until all of it has come.

A second file beside, ``NAME.part.json``, says of which version the part is.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

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


@contextmanager
def _bar(total: int, done: int, name: str, *, shown: bool) -> Iterator[Any]:
    with tqdm(
        total=total, initial=done, desc=name, unit="B", unit_scale=True, unit_divisor=1024, disable=not shown
    ) as bar:
        yield bar


def download(place: Place, target: str, *, progress: bool) -> None:
    """Save a file.

    Raises:
        FileChanged: It changed since the download began; the part is removed.
        ClientError: Another of its kinds; the part stays, and the next call goes on.
    """
    loop.run(_download(place, target, progress))


async def _download(place: Place, target: str, progress: bool) -> None:
    part, note = f"{target}.part", f"{target}.part.json"
    begun = _read_note(note)
    url = f"/files/{quoted(place.file)}"
    done = os.path.getsize(part) if begun.get("url") == f"{place.options.url}{url}" and os.path.exists(part) else 0
    etag = str(begun.get("etag", "")) if done else ""
    breaks = 0
    with open(part, "r+b" if done else "wb") as out:
        out.seek(done)
        while True:
            try:
                done, etag = await _go_on(place, url, (part, note), out, (done, etag), progress)
                break
            except Unreachable:
                out.flush()
                at, etag = out.tell(), str(_read_note(note).get("etag", ""))
                breaks = 0 if at > done else breaks + 1
                done = at
                if breaks >= MOST_BREAKS or not etag:
                    raise
                await place.transport.get("/healthz")  # waits, with growing pauses, until it is back
    os.replace(part, target)
    os.remove(note)


async def _go_on(
    place: Place, url: str, names: tuple[str, str], out: Any, state: tuple[int, str], progress: bool
) -> tuple[int, str]:  # fmt: skip
    """Receive what is missing; how far it came, and the validator."""
    done, etag = state
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-", "If-Range": etag} if done else {})
    bar = None
    try:
        async for answer, data in place.transport.stream(url, headers, frozenset({NO_SUCH_RANGE})):
            if bar is None:
                if _complete(answer, done, etag):
                    return done, etag
                if done and answer.status != 206:
                    out.truncate(0)
                    raise _changed(names)
                if place.version and answer.headers.get("X-Chunkserve-Version", place.version) != place.version:
                    raise _changed(names)
                etag = answer.etag
                length = int(answer.headers["Content-Length"])
                _write_note(names[1], {"url": f"{place.options.url}{url}", "etag": etag})
                bar = tqdm(
                    total=done + length, initial=done, desc=os.path.basename(names[0]).removesuffix(".part"),
                    unit="B", unit_scale=True, unit_divisor=1024, disable=not progress,
                )  # fmt: skip
            out.write(data)
            bar.update(len(data))
    finally:
        if bar is not None:
            bar.close()
    return out.tell(), etag


def _complete(answer: Answer, done: int, etag: str) -> bool:
    """Whether a range beyond the end was asked for because nothing was missing."""
    if answer.status != NO_SUCH_RANGE:
        return False
    size = answer.headers.get("Content-Range", "").rpartition("/")[2]
    if answer.etag == etag and size == str(done):
        return True
    raise FileChanged("the file is shorter than what was downloaded of it; start again")


def _changed(names: tuple[str, str]) -> FileChanged:
    for name in names:
        if os.path.exists(name):
            os.remove(name)
    return FileChanged("the file changed since the download began; start again to get what is there now")


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
    with _bar(out.nbytes, done * row, os.path.basename(target), shown=progress) as bar:
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
