"""Files change: the old version, the new one, or an error that says to try again, never a mixture."""

import contextlib
import os
import threading
import time
from pathlib import Path

import h5py
import numcodecs
import numpy as np
import pytest

from chunkserve.errors import ChunkserveError, Corrupt, Gone, NotFound, SourceChanged
from chunkserve.service.store import ForeignChunk, Store

KEY = ("a.h5", "x", "c", "0", "0")


def write(path: Path, value: int, **filters: object) -> None:
    """Without a lock: a reader process that is being forked here would hold it for a moment."""
    with h5py.File(path, "w", locking=False) as file:
        file.create_dataset("x", data=np.full((200, 300), value, "u4"), chunks=(200, 300), **filters)


def values(store: Store, key: tuple[str, ...] = KEY) -> set[int]:
    body = bytes(store.key(3, key, wait=True).blob.read())
    raw = body if len(body) == 240_000 else numcodecs.blosc.decompress(body)
    return set(np.frombuffer(raw, "<u4").tolist())


def by_rename(path: Path, value: int) -> None:
    write(path.with_suffix(".new"), value)
    os.replace(path.with_suffix(".new"), path)


def in_place(path: Path, value: int) -> None:
    with h5py.File(path, "a", locking=False) as file:
        file["x"][...] = value


def rewritten(path: Path, value: int) -> None:
    write(path, value)


@pytest.mark.parametrize("change", [by_rename, in_place, rewritten], ids=lambda f: f.__name__)
def test_a_changed_file_is_seen_at_once(tmp_path: Path, open_store, change) -> None:
    path = tmp_path / "a.h5"
    write(path, 1)
    store = open_store(tmp_path)
    first = store.key(3, KEY, wait=True)
    assert values(store) == {1}
    change(path, 2)
    assert values(store) == {2}
    assert store.key(3, KEY, wait=True).etag != first.etag


def test_an_answer_prepared_before_a_change_is_not_read_after_it(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    write(path, 1)
    store = open_store(tmp_path)
    values(store)  # checked: from now on bodies are read when they are sent
    blob = store.key(3, KEY, wait=True).blob
    in_place(path, 2)
    with pytest.raises(SourceChanged):
        blob.read()


def test_an_answer_prepared_before_a_replacement_is_of_the_old_version_or_refused(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    write(path, 1)
    store = open_store(tmp_path)
    values(store)
    blob = store.key(3, KEY, wait=True).blob
    by_rename(path, 2)
    with contextlib.suppress(SourceChanged):  # losing its name touches a file's ctime
        assert set(np.frombuffer(bytes(blob.read()), "<u4").tolist()) == {1}
    assert values(store) == {2}


def test_a_truncated_file_is_an_error_never_zeros(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    write(path, 1)
    store = open_store(tmp_path)
    values(store)
    os.truncate(path, path.stat().st_size - 1000)
    with pytest.raises(ChunkserveError):
        values(store)


def test_a_file_that_is_gone_takes_its_chunks_along(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    write(path, 1)
    store = open_store(tmp_path)
    values(store)
    path.unlink()
    with pytest.raises(ForeignChunk):
        store.key(3, KEY, wait=True)
    with pytest.raises(NotFound):
        store.key(3, ("a.h5", "x", "zarr.json"), wait=True)


def test_computed_chunks_are_made_anew_for_a_new_version(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    write(path, 1, compression="lzf")
    store = open_store(tmp_path)
    assert values(store) == {1}
    write(path, 2, compression="lzf")
    assert values(store) == {2}


def test_a_pin_holds_while_nothing_changes_and_is_gone_for_good_afterwards(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    write(path, 1)
    store = open_store(tmp_path)
    document = ("a.h5", "x", "zarr.json")
    version = store.key(3, document, wait=True).version
    assert version == store.pin(("a.h5",), wait=True)
    for key in (KEY, document, ("a.h5", "zarr.json")):
        store.key(3, key, wait=True, pinned=version)
    in_place(path, 2)
    for key in (KEY, document, ("a.h5", "zarr.json")):
        with pytest.raises(Gone):
            store.key(3, key, wait=True, pinned=version)
    assert store.key(3, document, wait=True).version != version


def test_chmod_does_not_make_a_new_version(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    write(path, 1)
    store = open_store(tmp_path)
    before = store.key(3, KEY, wait=True)
    path.chmod(0o600)
    assert store.key(3, KEY, wait=True).etag == before.etag


def test_two_stores_agree_on_versions_whatever_the_inode(tmp_path: Path, open_store) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    write(tmp_path / "one" / "a.h5", 1)
    (tmp_path / "two" / "a.h5").write_bytes((tmp_path / "one" / "a.h5").read_bytes())
    info = (tmp_path / "one" / "a.h5").stat()
    os.utime(tmp_path / "two" / "a.h5", ns=(info.st_atime_ns, info.st_mtime_ns))
    etags = {open_store(tmp_path / name).key(3, KEY, wait=True).etag for name in ("one", "two")}
    assert len(etags) == 1


@pytest.mark.parametrize("change", [by_rename, in_place, rewritten], ids=lambda f: f.__name__)
def test_under_constant_change_every_answer_is_one_version(tmp_path: Path, open_store, change) -> None:
    path = tmp_path / "a.h5"
    write(path, 0)
    store = open_store(tmp_path)
    stop = threading.Event()

    def writer() -> None:
        for i in range(1, 60):
            if stop.is_set():
                return
            change(path, i)
            time.sleep(i % 5 * 0.03)  # now and then long enough for an answer

    thread = threading.Thread(target=writer)
    thread.start()
    seen: list[set[int]] = []
    failures = 0
    try:
        while thread.is_alive():
            try:
                seen.append(values(store))
            except (SourceChanged, ChunkserveError):
                failures += 1
    finally:
        stop.set()
        thread.join()
    mixtures = [s for s in seen if len(s) != 1]
    assert not mixtures
    assert values(store) == {59}
    assert len(seen) > 3, f"{failures} failures left nothing to look at"


def test_a_chunk_cut_short_by_the_file_is_corrupt(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "x", data=np.random.default_rng(0).random((200, 300)), chunks=(200, 300), compression="gzip"
        )
        mask, raw = dataset.id.read_direct_chunk((0, 0))
        dataset.id.write_direct_chunk((0, 0), raw[:6], mask)
    with pytest.raises(Corrupt, match=r"a\.h5:/x: chunk \(0, 0\)"):
        open_store(tmp_path).key(3, KEY, wait=True)
