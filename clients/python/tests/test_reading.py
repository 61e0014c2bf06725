"""What is read over HTTP is what h5py reads from the file, whatever way it takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkserve_client import Dataset, Empty, File
from clients.python.tests import data
from clients.python.tests.compare import both_ways, check_header, same
from clients.python.tests.conftest import serving
from clients.python.tests.test_selection import keys


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[File, h5py.File]]:
    """The file on a server, and here."""
    folder = tmp_path_factory.mktemp("reading")
    data.write(folder / "a.h5")
    with serving(folder) as running, h5py.File(folder / "a.h5") as local:
        yield running.connect()["a.h5"], local


def paths(tmp: Path) -> list[str]:
    data.write(tmp / "names.h5")
    with h5py.File(tmp / "names.h5") as file:
        found: list[str] = []
        file.visititems(lambda name, node: found.append(name) if isinstance(node, h5py.Dataset) else None)
    return found


def test_every_kind_of_dataset_reads_as_h5py_reads_it(pair: tuple[File, h5py.File], tmp_path: Path) -> None:
    remote, local = pair
    for path in paths(tmp_path):
        got, want = remote[path], local[path]
        check_header(got, want)
        if want.shape is None:
            assert isinstance(got[()], Empty)
            continue
        both_ways(got, (), want[()], want)
        both_ways(got, ..., want[...], want)
        if want.shape and 0 not in want.shape:
            middle = tuple(n // 2 for n in want.shape)
            for key in (0, -1, middle, np.s_[::3], np.s_[..., 0], np.s_[1:2], [0, want.shape[0] - 1]):
                if want.shape[0] == 1 and isinstance(key, list):
                    continue
                both_ways(got, key, want[key], want)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(draw=st.data())
def test_any_selection_of_any_dataset_reads_as_h5py_reads_it(pair: tuple[File, h5py.File], draw: Any) -> None:
    remote, local = pair
    size = draw.draw(st.sampled_from(["tiny", "middle", "big"]))
    path = f"filters/{draw.draw(st.sampled_from(sorted(data.FILTERS)))}/{size}"
    want = local[path]
    key = draw.draw(keys(want.shape))
    try:
        values = want[key]
    except (IndexError, TypeError, ValueError):
        with pytest.raises((IndexError, TypeError, ValueError)):
            remote[path][key]
        return
    both_ways(remote[path], key, values, want)


def test_masks_mark_elements(pair: tuple[File, h5py.File]) -> None:
    remote, local = pair
    got, want = remote["filters/gzip_shuffle/big"], local["filters/gzip_shuffle/big"]
    values = want[()]
    for mask in (values % 7 == 0, np.zeros(values.shape, bool), values == values.max()):
        both_ways(got, mask, want[mask], want)
    rows = values[:, 0] > 0
    both_ways(got, rows, want[rows], want)


def test_fields_of_records_are_read_alone(pair: tuple[File, h5py.File]) -> None:
    remote, local = pair
    for name in ("record", "record_chunked"):
        got, want = remote["types"][name], local["types"][name]
        same(got["value"], want["value"], want)
        same(got["h", 3:9], want["h", 3:9], want)
        same(got["name", 4], want["name", 4], want)
        same(got.fields(["h", "name"])[2:5], want.fields(["h", "name"])[2:5], want)
    with pytest.raises(ValueError, match="there are h, ok, value, name"):
        remote["types/record"]["nothing"]


def test_text_is_bytes_unless_asked_for_as_text(pair: tuple[File, h5py.File]) -> None:
    remote, local = pair
    for name in ("text", "text_matrix", "fixed", "fixed_utf8", "ascii"):
        got, want = remote["types"][name], local["types"][name]
        np.testing.assert_array_equal(got.asstr()[...], want.asstr()[...])
    assert remote["types/text_scalar"].asstr()[()] == "alone"
    assert remote["types/text_scalar"][()] == b"alone"
    with pytest.raises(TypeError, match="no text"):
        remote["layouts/scalar"].asstr()


def test_views_convert(pair: tuple[File, h5py.File]) -> None:
    got = pair[0]["filters/gzip/tiny"]
    assert got.astype("f4")[3].dtype == np.float32
    assert np.asarray(got.astype("f8")).sum() == pair[1]["filters/gzip/tiny"][()].sum()


def test_references_are_paths(pair: tuple[File, h5py.File]) -> None:
    assert pair[0]["types/references"][...].tolist() == ["/types", "/layouts/scalar"]
    assert pair[0]["tree"].attrs["where"] == "/layouts/scalar"


def test_enumerations_and_booleans_keep_their_names(pair: tuple[File, h5py.File]) -> None:
    got = pair[0]["types/enum"]
    assert got.type.enum == {"RED": 0, "GREEN": 1, "BLUE": 42}
    assert got[0].dtype == ">i2"
    assert pair[0]["types/bool"].dtype == np.bool_


def test_a_fill_value_is_known(pair: tuple[File, h5py.File]) -> None:
    for path in ("layouts/sparse", "layouts/growing", "filters/gzip/tiny"):
        assert pair[0][path].fillvalue == pair[1][path].fillvalue


def test_long_lists_of_indices_are_posted(pair: tuple[File, h5py.File]) -> None:
    rng = np.random.default_rng(3)
    rows = np.sort(rng.choice(500, 300, replace=False))
    wide = np.concatenate([rows * 10**0])
    both_ways(pair[0]["layouts/contiguous"], (wide, 3), pair[1]["layouts/contiguous"][wide, 3], pair[1]["layouts"])
    many = pair[0]["layouts/contiguous"]
    columns = np.flatnonzero(rng.random(700) < 0.9)
    assert len(",".join(map(str, columns))) > 2000
    np.testing.assert_array_equal(many[5, columns], pair[1]["layouts/contiguous"][5, columns])


def test_large_slices_come_in_parts(pair: tuple[File, h5py.File], monkeypatch: pytest.MonkeyPatch) -> None:
    from chunkserve_client import plan, slices  # noqa: PLC0415

    monkeypatch.setattr(plan, "SLICE_PART", 10_000)
    monkeypatch.setattr(slices, "SLICE_PART", 10_000)
    got, want = pair[0]["filters/zstd/big"], pair[1]["filters/zstd/big"]
    for key in (..., np.s_[5, ::3], np.s_[::7, 100:500:3], np.s_[:, [1, 5, 600]]):
        both_ways(got, key, want[key], want)
    text = pair[0]["types/text"]
    both_ways(text, ..., pair[1]["types/text"][...], pair[1]["types/text"])


def test_decoded_chunks_are_kept_in_memory_within_bounds(pair: tuple[File, h5py.File]) -> None:
    remote = pair[0].place.options
    from chunkserve_client import Server  # noqa: PLC0415
    from chunkserve_client.config import Options  # noqa: PLC0415
    from chunkserve_client.stored import caches_of  # noqa: PLC0415

    options = Options(remote.url, cache_memory=8 << 20)
    got = Server(options)["a.h5"]["filters/gzip/big"]
    assert isinstance(got, Dataset)
    first = got[...]
    before = got.place.transport.requests
    np.testing.assert_array_equal(got[...], first)
    assert got.plan().requests == 0
    assert got.place.transport.requests == before
    assert 0 < caches_of(options).memory.size <= 8 << 20
    small = Server(Options(remote.url, cache_memory=1000))["a.h5"]["filters/gzip/big"]
    np.testing.assert_array_equal(small[...], first)
    assert caches_of(small.place.options).memory.size == 0


def test_chunks_are_kept_on_disk_if_wished(pair: tuple[File, h5py.File], tmp_path: Path) -> None:
    from chunkserve_client import Server  # noqa: PLC0415
    from chunkserve_client.config import Options  # noqa: PLC0415

    url = pair[0].place.options.url
    want = pair[1]["filters/gzip/big"][()]
    for _ in range(2):
        options = Options(url, cache_memory=0, cache_disk=8 << 20, cache_folder=str(tmp_path / "kept"))
        got = Server(options)["a.h5"]["filters/gzip/big"]
        got.plan()
        before = got.place.transport.requests
        np.testing.assert_array_equal(got[...], want)
        fetched = got.place.transport.requests - before
    assert fetched == 0
    assert len(list((tmp_path / "kept").rglob("*.chunk"))) == 4
    for file in (tmp_path / "kept").rglob("*.chunk"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    np.testing.assert_array_equal(got[...], want)


def test_an_answer_that_is_not_complete_is_refused() -> None:
    import msgpack  # noqa: PLC0415

    from chunkserve_client import ClientError, Damaged  # noqa: PLC0415
    from chunkserve_client.slices import assemble  # noqa: PLC0415

    head = {"version": "1", "type": {"class": "integer", "dtype": "<i4"}, "shape": [2], "blocks": 1}
    block = {"start": [0], "shape": [2], "codec": "raw", "data": np.arange(2, dtype="<i4").tobytes()}
    messages = [msgpack.packb(m) for m in (head, block, {"end": True})]
    assert assemble(b"".join(messages), (2,)).values.tolist() == [0, 1]
    for bad in (b"".join(messages[:2]), b"".join(messages)[:-3], messages[0], b"\xc1", b"".join(messages)[:30]):
        with pytest.raises(Damaged):
            assemble(bad, (2,))
    with pytest.raises(Damaged, match="shape"):
        assemble(b"".join(messages), (3,))
    failed = msgpack.packb({"error": {"status": 502, "detail": "chunk 3 is damaged"}})
    with pytest.raises(ClientError, match="chunk 3 is damaged"):
        assemble(messages[0] + failed, (2,))
