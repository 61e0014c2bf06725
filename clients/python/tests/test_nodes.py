"""Files are mappings as h5py's are."""

import sys
from collections.abc import Iterator
from dataclasses import replace

import h5py
import numpy as np
import pytest

from chunkserve_client import Dataset, Empty, File, Group, NamedType, NotFound, NotSupported, Server
from clients.python.tests import data
from clients.python.tests.conftest import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, h5py.File]]:
    folder = tmp_path_factory.mktemp("nodes")
    (folder / "run" / "älter").mkdir(parents=True)
    data.write(folder / "a.h5")
    data.write(folder / "run" / "älter" / "b c#.h5")
    with serving(folder, search="no") as running, h5py.File(folder / "a.h5") as local:
        yield running.connect(), local


@pytest.fixture
def pair(server: tuple[Server, h5py.File]) -> tuple[File, h5py.File]:
    return server[0]["a.h5"], server[1]


def test_folders_are_listed(server: tuple[Server, h5py.File]) -> None:
    assert server[0].ls() == ["run/", "a.h5"]
    assert server[0].ls("run/älter") == ["b c#.h5"]
    (entry,) = server[0].ls("/run/älter/", detail=True)
    assert entry["name"] == "run/älter/b c#.h5"
    assert entry["type"] == "file"
    assert entry["size"] > 100_000
    assert entry["modified"] > 0
    with pytest.raises(NotFound, match="no folder 'nothing'"):
        server[0].ls("nothing")
    with pytest.raises(NotFound, match="is a file"):
        server[0].ls("a.h5")


def test_names_are_quoted(server: tuple[Server, h5py.File]) -> None:
    file = server[0]["run/älter/b c#.h5"]
    np.testing.assert_array_equal(file["tree/odd name?#%~"][...], np.arange(3))
    np.testing.assert_array_equal(server[0]["run/älter/b c#.h5::/tree/odd name?#%~"].to_zarr()[...], np.arange(3))


def test_a_server_without_search_says_so(server: tuple[Server, h5py.File]) -> None:
    with pytest.raises(NotSupported, match="no search"):
        server[0].search("lysozyme")


def test_paths_lead_to_nodes(pair: tuple[File, h5py.File]) -> None:
    remote, _ = pair
    assert isinstance(remote["/filters/gzip/big"], Dataset)
    group = remote["filters"]
    assert isinstance(group, Group)
    assert group["gzip"]["big"] == remote["/filters/gzip/big"]
    assert group["/layouts/scalar"][()] == 5.5
    assert group["gzip/big"].parent == group["gzip"]
    assert group.file["/"] == remote
    assert isinstance(remote["tree/type"], NamedType)
    assert remote["tree/type"].dtype == "<f4"
    assert remote["tree/soft"][()] == 5.5
    for path in ("nothing", "filters/nothing", "/filters/gzip/big/more", "tree/dangling"):
        with pytest.raises(KeyError):
            remote[path]
        assert path not in remote
    assert remote.get("nothing") is None
    with pytest.raises(TypeError, match="named by text"):
        remote[3]  # type: ignore[index]


def test_members_are_those_of_h5py(pair: tuple[File, h5py.File]) -> None:
    remote, local = pair
    for path in ("/", "filters", "tree", "types"):
        assert list(remote[path].keys()) == list(local[path].keys())
        assert len(remote[path]) == len(local[path])
    assert "gzip" in remote["filters"]
    assert "gzip/big" in remote["filters"]
    assert {name: type(node).__name__ for name, node in remote["layouts"].items()}.keys() == local["layouts"].keys()


def test_everything_below_is_visited_once(pair: tuple[File, h5py.File]) -> None:
    remote, local = pair
    got: dict[str, str] = {}
    want: dict[str, str] = {}
    remote.visititems(lambda name, node: got.__setitem__(name, type(node).__name__))
    local.visititems(lambda name, node: want.__setitem__(name, type(node).__name__))
    once = {frozenset(("layouts/contiguous", "tree/again"))}
    renamed = {"Datatype": "NamedType"}
    assert len(got) == len(want)
    for name in got.keys() ^ want.keys():
        assert any(name in pair for pair in once)
    for name in got.keys() & want.keys():
        assert got[name] == renamed.get(want[name], want[name])
    assert remote.visit(lambda name: name if name.endswith("big") else None) is not None


def test_attributes_are_as_h5py_gives_them(pair: tuple[File, h5py.File]) -> None:
    remote, local = pair
    got, want = remote["tree"].attrs, local["tree"].attrs
    assert set(got) == set(want)
    for name in ("text", "bytes", "number", "vector", "one", "names", "flag"):
        assert type(got[name]) is type(want[name]), name
        np.testing.assert_array_equal(got[name], want[name])
        assert np.asarray(got[name]).dtype.str == np.asarray(want[name]).dtype.str
    assert isinstance(got["empty"], Empty)
    with pytest.raises(KeyError, match="there are"):
        got["nothing"]


def test_a_tree_is_drawn(pair: tuple[File, h5py.File]) -> None:
    text = pair[0].tree()
    assert "filters" in text
    assert "300x700  int32  deflate" in text or "300x700  int32  gzip" in text
    page = pair[0]._repr_html_()
    assert "<pre>" in page
    assert "odd name?#%~" in pair[0]["tree"].tree()


def test_a_dataset_shows_itself(pair: tuple[File, h5py.File]) -> None:
    page = pair[0]["filters/gzip/big"]._repr_html_()
    assert "data:image/png;base64," in page
    assert "(300, 700)" in page
    assert "image" not in pair[0]["types/text"]._repr_html_()
    assert "int32" in repr(pair[0]["filters/gzip/big"])


def test_nothing_is_read_before_it_is_indexed(pair: tuple[File, h5py.File]) -> None:
    remote, _ = pair
    before = remote.place.transport.requests
    dataset = remote["filters/gzip/big"]
    assert remote.place.transport.requests == before + 1
    assert (dataset.shape, dataset.ndim, dataset.size, dataset.nbytes) == ((300, 700), 2, 210_000, 840_000)
    assert len(dataset) == 300
    assert dataset.filters[-1] in ("deflate", "gzip")
    assert remote.place.transport.requests == before + 1


def test_iterating_gives_rows(pair: tuple[File, h5py.File]) -> None:
    rows = list(pair[0]["numbers/contiguous/u1"])
    np.testing.assert_array_equal(rows, pair[1]["numbers/contiguous/u1"][...])
    with pytest.raises(TypeError, match="no length"):
        len(pair[0]["layouts/scalar"])


def test_marks_of_dtypes_need_no_h5py(pair: tuple[File, h5py.File]) -> None:
    remote = pair[0]
    assert remote["types/text"].type.string is not None
    assert remote["types/text"].type.string.length is None
    assert remote["types/fixed_utf8"].type.string.encoding == "utf-8"
    assert h5py.check_string_dtype(remote["types/text"].dtype) == ("utf-8", None)
    assert h5py.check_vlen_dtype(remote["types/ragged"].dtype) == np.dtype("<i4")
    assert h5py.check_enum_dtype(remote["types/enum"].dtype) == {"RED": 0, "GREEN": 1, "BLUE": 42}
    assert "h5py" in sys.modules


def test_a_page_has_the_viewer_beside_what_stands_still(pair: tuple[File, h5py.File]) -> None:
    url = pair[0].place.options.url
    page = pair[0]["filters/gzip/big"]._repr_html_()
    assert f'src="{url}/embed/{pair[0].filename}/filters/gzip/big"' in page
    assert "<details>" in page
    place = replace(pair[0].place, options=replace(pair[0].place.options, token="secret", browser="/hub/chunkserve/"))
    shown = File.of(place)._repr_html_()
    assert f'src="/hub/chunkserve/embed/{pair[0].filename}' in shown
    assert "secret" not in shown
    assert "iframe" not in pair[0]["filters/gzip/big"].level(1)._repr_html_()
