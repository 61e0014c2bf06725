"""How slices are read: only what they touch, in little memory, and of one state of all files."""

import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from chunkserve.app import build
from chunkserve.errors import SourceChanged
from chunkserve.faces.asgi import Faces
from chunkserve.faces.respond import Reply, Request
from chunkserve.service import decodedchunks
from chunkserve.settings import load
from chunkserve.sources.localfile import WouldBlock
from tests.faces.messages import assembled, unpacked

OpenFaces = Callable[[Path], Faces]


@pytest.fixture
def open_faces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenFaces]:
    started: list[Faces] = []

    def make(folder: Path) -> Faces:
        cache = str(tmp_path_factory.mktemp("cache"))
        started.append(build(load({"settle": 0.0, "cache_dir": cache}), (str(folder),)))
        return started[-1]

    yield make
    for faces in started:
        faces.crew.shutdown()
        faces.others.state.store.close()  # type: ignore[attr-defined]


def asked(faces: Faces, path: str, query: str = "", *, wait: bool = True) -> Reply:
    request = Request(path.encode(), query.encode(), {})
    found = faces.face(request.path)
    assert found is not None
    return found[0](request, wait=wait)


def body(reply: Reply) -> bytes:
    if reply.stream is None:
        return bytes(reply.blob.read(reply.start, reply.stop))
    return b"".join(make() for make in reply.stream.parts)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the chunks that are decoded."""
    seen: list[int] = []
    real = decodedchunks.decode

    def counting(pipeline: Any, stored: Any, mask: int) -> bytes:
        found = real(pipeline, stored, mask)
        seen.append(len(found))
        return found

    monkeypatch.setattr(decodedchunks, "decode", counting)
    return seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        data = np.arange(60 * 64 * 64, dtype="u4").reshape(60, 64, 64)
        file.create_dataset("stack", data=data, chunks=(1, 16, 16), compression="gzip")
        file.create_dataset("unwritten", (40_000, 50_000), "u1")
        file.create_dataset("large", (256, 512, 512), "u4", chunks=(1, 512, 512), compression=1, fillvalue=3)
        file["large"][::16] = 5
    return tmp_path


@pytest.mark.parametrize(
    ("sel", "chunks"),
    [
        (":,5,7", 60), ("::7,5,7", 9), ("3,::63,::63", 4), ("[0,30,59],0:16,0:17", 6), ("10:12,15:17,40", 4),
        ("5,[0,63],:", 8), ("::30,::33,::20", 2 * 2 * 4), ("0:0", 0), ("", 960),
    ],
)  # fmt: skip
def test_only_chunks_that_are_touched_are_decoded_and_each_once(
    open_faces: OpenFaces, folder: Path, decoded: list[int], sel: str, chunks: int
) -> None:
    found = assembled(unpacked(body(asked(open_faces(folder), "/slice/run.h5/stack", f"sel={sel}"))))
    assert len(decoded) == chunks
    data = np.arange(60 * 64 * 64, dtype="u4").reshape(60, 64, 64)
    np.testing.assert_array_equal(found, data[eval(f"np.s_[{sel}]")] if sel else data)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/slice/run.h5/large", ""),
        ("/slice/run.h5/large", "sel=:,::3,::5"),
        ("/slice/run.h5/large", "sel=:,5,7"),
        ("/slice/run.h5/large", "format=npy"),
        ("/slice/run.h5/unwritten", "sel=:,::100&format=npy"),
        ("/slice/run.h5/unwritten", "sel=::1000,::1000"),
        ("/reduce/run.h5/large", "op=sum,std"),
        ("/reduce/run.h5/unwritten", "op=max&sel=::20"),
    ],
)
def test_memory_does_not_grow_with_what_is_read(open_faces: OpenFaces, folder: Path, path: str, query: str) -> None:
    reply = asked(open_faces(folder), path, query)
    tracemalloc.start()
    try:
        if reply.stream is not None:
            for make in reply.stream.parts:
                make()
        else:
            body(reply)
        assert tracemalloc.get_traced_memory()[1] < 140 * 2**20
    finally:
        tracemalloc.stop()


def test_reductions_are_right_however_much_is_read(open_faces: OpenFaces, folder: Path) -> None:
    found = unpacked(body(asked(open_faces(folder), "/reduce/run.h5/large", "op=sum")))[0]["results"]["sum"]
    assert np.frombuffer(found["data"], "u8")[0] == 512 * 512 * (16 * 5 + 240 * 3)


def test_small_slices_at_hand_are_answered_at_once(open_faces: OpenFaces, folder: Path) -> None:
    faces = open_faces(folder)
    first = body(asked(faces, "/slice/run.h5/stack", "sel=3,0:20,5"))
    assert body(asked(faces, "/slice/run.h5/stack", "sel=3,0:20,5", wait=False)) == first
    found = faces.at_once(b"/slice/run.h5/stack", b"sel=4,0:20,5", {})
    assert found is not None
    assert assembled(unpacked(bytes(found[1]))).shape == (20,)
    with pytest.raises(WouldBlock):
        faces.at_once(b"/slice/run.h5/large", b"", {})


def test_an_answer_never_mixes_two_states_of_its_sources(open_faces: OpenFaces, tmp_path: Path) -> None:
    def write(name: str, value: int) -> None:
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("x", data=np.full((8, 1024, 1024), value, "u2"), chunks=(1, 1024, 1024))

    write("source.h5", 1)
    with h5py.File(tmp_path / "run.h5", "w") as file:
        layout = h5py.VirtualLayout((8, 1024, 1024), "u2")
        layout[...] = h5py.VirtualSource("source.h5", "x", (8, 1024, 1024))
        file.create_virtual_dataset("x", layout)
    reply = asked(open_faces(tmp_path), "/slice/run.h5/x")
    assert reply.stream is not None
    next(reply.stream.parts)()
    write("new.h5", 2)
    os.replace(tmp_path / "new.h5", tmp_path / "source.h5")
    with pytest.raises(SourceChanged):
        body(reply)
