"""Metadata over HTTP is all that h5py knows of a file."""

import json
import os
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np
import pytest

from tests.faces.conftest import Site, StartSite
from tests.faces.messages import descr_dtype, value


def write(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "a rün"
        file.attrs["numbers"] = np.arange(6, dtype=">i2").reshape(2, 3)
        file.attrs["none"] = h5py.Empty("f8")
        file.attrs["words"] = ["a", "b"]
        file.attrs["flag"] = True
        file.attrs["complex"] = 1 + 2j
        file.attrs["reference"] = file.ref
        data = file.create_dataset(
            "entry/data", (4, 5, 6), ">f4", chunks=(1, 5, 6), maxshape=(None, 5, 6), compression=4, shuffle=True,
            fillvalue=-1,
        )  # fmt: skip
        data.dims[0].label = "frame"
        file["entry/x"] = np.arange(6.0)
        file["entry/x"].make_scale("the x")
        data.dims[2].attach_scale(file["entry/x"])
        data.attrs["units"] = "counts"
        file["entry/same"] = data
        file["entry/loop"] = file["entry"]
        file["entry/soft"] = h5py.SoftLink("/entry/data")
        file["entry/dead"] = h5py.SoftLink("nowhere")
        file["entry/out"] = h5py.ExternalLink("other.h5", "/inner")
        file["entry/gone"] = h5py.ExternalLink("missing.h5", "/x")
        file["enum"] = np.array([1, 0], h5py.enum_dtype({"OFF": 0, "ON": 1}, "u1"))
        file["record"] = np.zeros(2, np.dtype([("a", "u1"), ("b", "<f8"), ("t", "S4")], align=True))
        file["text"] = "a word"
        file["null"] = h5py.Empty("i4")
        file["named"] = np.dtype("<i4")
        file["deep/er/est"] = 1
        file.create_dataset("vlen", (2,), h5py.vlen_dtype("u2"))
        raw = h5py.h5g.create(file.id, b"not\xffutf")
        raw.close()
    with h5py.File(path.with_name("other.h5"), "w") as file:
        file["inner/y"] = np.arange(3)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    folder = tmp_path_factory.mktemp("meta")
    write(folder / "run.h5")
    return start_site(folder)


def meta(site: Site, path: str) -> Any:
    reply = site.ask(f"/meta/run.h5{path}")
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/msgpack"
    return msgpack.unpackb(reply.body)


def test_a_file_is_its_root_and_members(here: Site) -> None:
    found = meta(here, "/")
    assert found["file"] == "run.h5"
    assert found["path"] == "/"
    assert found["version"] == here.ask("/zarr/run.h5/zarr.json").headers["x-chunkserve-version"]
    with h5py.File(here.folder / "run.h5") as file:
        names = [name if isinstance(name, str) else name.decode() for name in file if "utf" not in str(name)]
    assert [name for name in found["node"]["members"] if "utf" not in name] == names
    assert found["node"]["members"]["entry"]["members"] is None
    assert found["node"]["members"]["deep"]["kind"] == "group"
    assert meta(here, "") == found


def test_attributes_keep_their_types(here: Site) -> None:
    attributes = meta(here, "/?depth=0")["node"]["attributes"]
    assert value(attributes["title"])[()] == "a rün"
    assert value(attributes["numbers"]).dtype == ">i2"
    assert value(attributes["numbers"]).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert value(attributes["none"]) is None
    assert value(attributes["words"]).tolist() == ["a", "b"]
    assert attributes["flag"]["type"]["class"] == "bool"
    assert value(attributes["flag"])[()]
    assert attributes["complex"]["type"] | {"fields": 0} == {
        "class": "complex",
        "dtype": "<c16",
        "size": 16,
        "fields": 0,
    }
    assert value(attributes["complex"])[()] == 1 + 2j
    assert attributes["reference"]["items"] == ["/"]


def test_a_dataset_has_its_whole_header(here: Site) -> None:
    node = meta(here, "/entry/data")["node"]
    assert node["kind"] == "dataset"
    assert node["type"] == {"class": "float", "dtype": ">f4", "size": 4}
    assert (node["shape"], node["maxshape"], node["chunks"]) == ([4, 5, 6], [None, 5, 6], [1, 5, 6])
    assert node["layout"] == "chunked"
    assert [(stage["id"], stage["name"]) for stage in node["filters"]] == [(2, "shuffle"), (1, "gzip")]
    assert node["filters"][1]["values"] == [4]
    assert value(node["fill"])[()] == -1
    assert node["dims"] == ["frame", None, "x"]
    assert node["stored"] is None
    assert value(node["attributes"]["units"])[()] == "counts"


def test_types_say_all_there_is(here: Site) -> None:
    members = meta(here, "/")["node"]["members"]
    assert members["enum"]["type"]["members"] == {"OFF": 0, "ON": 1}
    assert members["enum"]["type"]["base"] == {"class": "integer", "dtype": "|u1", "size": 1}
    record = members["record"]["type"]
    assert [(field["name"], field["offset"]) for field in record["fields"]] == [("a", 0), ("b", 8), ("t", 16)]
    with h5py.File(here.folder / "run.h5") as file:
        assert descr_dtype(record["dtype"]) == file["record"].dtype
    assert members["text"]["type"] | {"size": 0} == {
        "class": "string", "dtype": "|O", "size": 0, "encoding": "utf-8", "length": None, "padding": "nullterm",
    }  # fmt: skip
    assert members["vlen"]["type"]["base"]["dtype"] == "<u2"
    assert members["null"]["shape"] is None
    assert members["named"]["kind"] == "datatype"
    assert members["named"]["type"]["dtype"] == "<i4"


def test_links_are_followed_and_said(here: Site) -> None:
    members = meta(here, "/entry")["node"]["members"]
    assert members["soft"]["link"] == {"kind": "soft", "path": "/entry/data", "file": None}
    kinds = {members["data"]["kind"], members["same"]["kind"], members["soft"]["kind"]}
    assert kinds == {"dataset", "same"}
    assert members["loop"] == {"kind": "same", "path": "/entry"}
    assert members["out"]["kind"] == "group"
    assert members["out"]["link"] == {"kind": "external", "path": "/inner", "file": "other.h5"}
    for name, kind in (("dead", "soft"), ("gone", "external")):
        assert members[name]["kind"] == "link"
        assert members[name]["link"] == kind
        assert members[name]["reason"]


def test_loops_are_entered_as_by_h5py(here: Site) -> None:
    assert meta(here, "/entry/loop/loop/data")["node"] == meta(here, "/entry/data")["node"]
    assert meta(here, "/entry/out/y")["node"]["shape"] == [3]


def test_depth_says_how_far(here: Site) -> None:
    def depth(node: Any) -> int:
        members = node.get("members")
        return 0 if members is None else 1 + max((depth(member) for member in members.values()), default=0)

    assert [depth(meta(here, f"/deep?depth={n}")["node"]) for n in (0, 1, 2)] == [0, 1, 2]
    everything = meta(here, "/?depth=all")["node"]
    assert everything["members"]["deep"]["members"]["er"]["members"]["est"]["kind"] == "dataset"
    for wrong in ("-1", "x", ""):
        assert here.ask(f"/meta/run.h5/?depth={wrong}").status == 400


def test_names_that_are_not_utf8_have_an_alias(here: Site) -> None:
    assert "not~FFutf" in meta(here, "/")["node"]["members"]
    assert meta(here, "/not~FFutf")["node"]["kind"] == "group"


def test_json_is_there_for_who_prefers_it(here: Site) -> None:
    asked = here.ask("/meta/run.h5/entry/data?format=json")
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body)["node"]["shape"] == [4, 5, 6]
    for accept, media in {
        "application/json": "application/json",
        "*/*": "application/msgpack",
        "application/json;q=0.5, application/msgpack": "application/msgpack",
        "application/msgpack;q=0.5, application/json": "application/json",
    }.items():
        reply = here.ask("/meta/run.h5/entry/data", Accept=accept)
        assert reply.headers["content-type"] == media
        assert reply.headers["vary"].startswith("Accept") or media.endswith("json")
    assert here.ask("/meta/run.h5/?format=xml").status == 400


@pytest.mark.parametrize("path", ["/nothing", "/entry/dead", "/entry/gone", "/entry/data/x", "/entry/.."])
def test_what_is_not_there_is_not_found(here: Site, path: str) -> None:
    assert here.ask(f"/meta/run.h5{path}").status == 404


def test_descriptions_are_validated_by_etag_and_follow_the_file(tmp_path: Path, start_site: StartSite) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["x"] = np.arange(3)
    site = start_site(tmp_path)
    first = site.ask("/meta/run.h5/x")
    assert site.ask("/meta/run.h5/x", If_None_Match=first.headers["etag"]).status == 304
    version = first.headers["x-chunkserve-version"]
    assert site.ask(f"/meta;v={version}/run.h5/x").body == first.body
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file["x"] = np.arange(5)
    os.replace(tmp_path / "new.h5", tmp_path / "run.h5")
    assert meta(site, "/x")["node"]["shape"] == [5]
    assert site.ask(f"/meta;v={version}/run.h5/x").status == 410


def test_a_large_file_is_told_up_to_a_limit(tmp_path: Path, start_site: StartSite) -> None:
    with h5py.File(tmp_path / "run.h5", "w", libver="latest") as file:
        for i in range(3):
            group = file.create_group(f"group{i}")
            target = file.create_group(f"target{i}").ref
            assert target
            for k in range(9000):
                group.id.links.create_soft(f"m{k}".encode(), b"/nowhere")
    found = meta(start_site(tmp_path), "/?depth=all")["node"]["members"]
    told = [group["members"] is not None for name, group in found.items() if name.startswith("group")]
    assert told == [True, True, False]
