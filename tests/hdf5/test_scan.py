"""The walk through a file: everything hard links lead to, once, within limits, and nothing beyond the file."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve import wire
from chunkserve.hdf5.pool import ReaderRefused
from chunkserve.hdf5.scan import MAX_DEPTH
from chunkserve.model import Group, Link, Snapshot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with objects of every kind, reached in every way."""
    with h5py.File(tmp_path / "f.h5", "w") as file:
        group = file.create_group("g", track_order=True)
        group["zuerst"] = np.arange(3)
        group["danach"] = np.float32(1)
        group["loop"] = file["/"]
        file["type"] = np.dtype([("a", "i4")])
        file["again"] = group["zuerst"]
        file["soft"] = h5py.SoftLink("/g/zuerst")
        file["detour"] = h5py.SoftLink("/g")
        file["dangling"] = h5py.SoftLink("nowhere")
        file["away"] = h5py.ExternalLink("o\u00e9.h5", "/x/y")
        file.id.links.create_soft(b"\xff", b"\xfe")
        file.attrs["title"] = "é"
    return tmp_path / "f.h5"


def addresses(path: Path) -> dict[str, int]:
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.setdefault(name, h5py.h5o.get_info(item.id).addr) and None)
        found["/"] = h5py.h5o.get_info(file.id).addr
    return found


def test_everything_is_found_once(path: Path, scan_file) -> None:
    found: Snapshot = scan_file(path)
    theirs = addresses(path)
    assert found.root == theirs["/"]
    assert set(found.groups) == {theirs["/"], theirs["g"]}
    assert set(found.datasets) == {theirs[name] for name in theirs if name in ("again", "g/zuerst", "g/danach")}
    assert set(found.types) == {theirs["type"]}
    assert not found.broken
    assert not found.paths
    title = found.groups[found.root].attributes[0]
    assert (title.name, title.shape, title.data) == (b"title", (), ["é"])


def test_links_are_told_and_not_followed(path: Path, scan_file) -> None:
    found: Snapshot = scan_file(path)
    links = {link.name: link for link in found.groups[found.root].links}
    assert links[b"soft"] == Link(b"soft", "soft", path=b"/g/zuerst")
    assert links[b"\xff"] == Link(b"\xff", "soft", path=b"\xfe")
    assert links[b"away"] == Link(b"away", "external", path=b"/x/y", file="oé.h5".encode())
    group = found.groups[links[b"g"].target]
    assert [link.name for link in group.links] == [b"zuerst", b"danach", b"loop"]  # in order of creation
    assert group.links[0].target == links[b"again"].target
    assert group.links[2].target == found.root


@pytest.mark.parametrize("objects", [1, 2, 3])
def test_what_is_over_the_limit_is_found_by_looking_further(path: Path, scan_file, objects) -> None:
    everything: Snapshot = scan_file(path)
    found: Snapshot = scan_file(path, objects=objects)
    kinds = ("groups", "datasets", "types")
    assert sum(len(getattr(found, kind)) for kind in kinds) == objects
    pending = dict(found.paths)
    assert pending
    while pending:
        address, below = pending.popitem()
        more: Snapshot = scan_file(path, *below, objects=objects)
        assert more.root == address
        for kind in kinds:
            getattr(found, kind).update(getattr(more, kind))
        known = {number for kind in kinds for number in getattr(found, kind)}
        pending |= more.paths
        pending = {number: names for number, names in pending.items() if number not in known}
    for kind in kinds:
        assert getattr(found, kind) == getattr(everything, kind)


def test_without_time_one_object_is_described_and_the_others_named(path: Path, scan_file) -> None:
    found: Snapshot = scan_file(path, seconds=0.0)
    assert set(found.groups) == {found.root}
    theirs = addresses(path)
    assert found.paths == {theirs["again"]: [b"again"], theirs["g"]: [b"g"], theirs["type"]: [b"type"]}


def test_groups_deeper_than_anybody_needs_are_broken(tmp_path: Path, scan_file) -> None:
    with h5py.File(tmp_path / "deep.h5", "w", libver="latest") as file:
        file.create_group("/".join(["g"] * (MAX_DEPTH + 2)))
    found: Snapshot = scan_file(tmp_path / "deep.h5")
    assert len(found.groups) == MAX_DEPTH + 1
    assert [item.reason for item in found.broken.values()] == [f"deeper than {MAX_DEPTH} groups"]


def test_a_damaged_object_is_broken_alone(path: Path, scan_file) -> None:
    at = addresses(path)["g/danach"]
    data = bytearray(path.read_bytes())
    data[at] = 0xEE  # the version of its header
    path.write_bytes(data)
    found: Snapshot = scan_file(path)
    assert set(found.broken) == {at}
    assert found.broken[at].reason
    assert len(found.datasets) == 1
    assert len(found.groups) == 2


@pytest.mark.parametrize(
    "below",
    [(b"soft",), (b"away",), (b"dangling",), (b"none",), (b"again", b"x"), (b"type", b"x"), (b"g", b"none")],
    ids=repr,
)
def test_only_hard_links_are_a_way(path: Path, scan_file, below) -> None:
    with pytest.raises(ReaderRefused) as caught:
        scan_file(path, *below)
    assert caught.value.kind == "missing"


@pytest.mark.parametrize("below", [(b"g/zuerst",), (b"detour/zuerst",)], ids=repr)
def test_a_name_is_not_a_path(path: Path, scan_file, below) -> None:
    with pytest.raises(ReaderRefused) as caught:
        scan_file(path, *below)
    assert caught.value.kind == "missing"


def test_large_attributes_keep_their_name_alone(tmp_path: Path, scan_file) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.attrs["a small"] = np.arange(5, dtype="<i2")
        file.attrs["b large"] = np.zeros(100)
        file.attrs["c null"] = h5py.Empty("f4")
        file.attrs["d none"] = np.zeros((0, 3), "i4")
        file.attrs["e texts"] = ["a", "é"]
    group: Group = next(iter(scan_file(tmp_path / "f.h5", attribute=100).groups.values()))
    small, large, null, none, texts = group.attributes
    assert small.data == np.arange(5, dtype="<i2").tobytes()
    assert (large.shape, large.data, large.omitted) == ((100,), None, "800 bytes")
    assert (null.shape, null.omitted) == (None, "")
    assert (none.shape, none.data) == ((0, 3), b"")
    assert texts.data == ["a", "é"]


def test_a_file_that_is_not_hdf5_is_unreadable(tmp_path: Path, scan_file) -> None:
    (tmp_path / "f.h5").write_bytes(b"CDF\1" + bytes(1000))
    with pytest.raises(ReaderRefused) as caught:
        scan_file(tmp_path / "f.h5")
    assert caught.value.kind == "unreadable"


def test_a_file_left_open_by_a_writer_says_so(path: Path, readers, open_file) -> None:
    with h5py.File(path.with_name("w.h5"), "w", libver="latest") as file:
        file["x"] = 1
    data = bytearray(path.with_name("w.h5").read_bytes())
    assert data[8] == 3
    data[11] |= 1  # open for writing
    path.write_bytes(data)  # checksum no longer right
    with pytest.raises(ReaderRefused) as caught:
        readers.call(open_file(path), wire.Task(scan=wire.Scan((), 10, 1.0, 10)), Snapshot)
    assert caught.value.kind in ("writing", "unreadable")
