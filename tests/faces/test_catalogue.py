"""The catalogue says what lies where, and nothing of what is not served."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import Serve
from tests.faces.conftest import Site, StartSite, ask


def listed(site: Site, path: str = "") -> dict[str, dict[str, object]]:
    reply = site.ask(f"/api/files/{path}")
    assert reply.status == 200
    document = json.loads(reply.body)
    assert document["kind"] == "folder"
    return {entry["name"]: entry for entry in document["entries"]}


def test_a_folder_lists_its_members_with_kind_size_and_time_folders_first(site: Site) -> None:
    found = listed(site)
    assert next(iter(found)) == "sub"
    assert found["sub"] == {"name": "sub", "kind": "folder"}
    at = (site.folder / "run.h5").stat()
    assert found["run.h5"] == {"name": "run.h5", "kind": "hdf5", "size": at.st_size, "modified": at.st_mtime}
    assert found["notes.txt"]["kind"] == "file"
    assert found["alias.h5"]["size"] == at.st_size


def test_what_links_out_of_the_root_is_not_there(site: Site) -> None:
    assert not {"out.h5", "outdir", "pipe.h5"} & set(listed(site))
    assert site.ask("/api/files/out.h5").status == site.ask("/api/files/nothing.h5").status == 404
    assert site.ask("/api/files/out.h5").body == site.ask("/api/files/nothing.h5").body


def test_a_path_into_a_file_is_split_where_the_file_ends(site: Site) -> None:
    found = json.loads(site.ask("/api/files/sub/small.h5/x/y").body)
    assert (found["kind"], found["path"], found["inside"]) == ("hdf5", "sub/small.h5", "/x/y")
    assert json.loads(site.ask("/api/files/run.h5").body)["inside"] == "/"


def test_several_roots_are_listed_by_name(tmp_path: Path, serve: Serve) -> None:
    for name in ("raw", "lab"):
        (tmp_path / name).mkdir()
        with h5py.File(tmp_path / name / "a.h5", "w") as file:
            file["x"] = np.arange(3)
    url = serve(f"first={tmp_path / 'raw'}", f"second={tmp_path / 'lab'}")
    root = json.loads(ask(f"{url}/api/files/").body)
    assert [entry["name"] for entry in root["entries"]] == ["first", "second"]
    assert json.loads(ask(f"{url}/api/files/second").body)["entries"][0]["name"] == "a.h5"
    assert ask(f"{url}/api/files/third").status == 404


def test_a_single_file_is_the_only_member_of_its_root(tmp_path: Path, start_site: StartSite) -> None:
    for name in ("shown.nxs", "hidden.nxs"):
        with h5py.File(tmp_path / name, "w") as file:
            file["x"] = 1
    site = start_site(tmp_path / "shown.nxs")
    assert list(listed(site)) == ["shown.nxs"]
    assert site.ask("/api/files/hidden.nxs").status == 404


def test_a_listing_is_revalidated(site: Site) -> None:
    tag = site.ask("/api/files/sub").headers["etag"]
    assert site.ask("/api/files/sub", If_None_Match=tag).status == 304


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/other", "/api/files/..", "/api/files/sub//small.h5"])
def test_other_paths_are_not_served(site: Site, path: str) -> None:
    assert site.ask(path).status == 404
