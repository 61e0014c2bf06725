"""In Jupyter: the proxy starts a server on a socket of one's own, for the notebooks' folder, below any path."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

import h5py
import httpx
import numpy as np
import pytest

from chunkserve.faces.viewer import BUILD
from tests.jupyter import BASE, Lab

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")

VALUES = np.arange(30.0).reshape(5, 6)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "run 1").mkdir()
    with h5py.File(folder / "run 1" / "a.nxs", "w") as file:
        file["x"] = VALUES
    found = Lab(folder, tmp_path_factory.mktemp("state"))
    yield found
    found.stop()


def get(lab: Lab, path: str, **more: str) -> httpx.Response:
    headers = {"Authorization": f"token {lab.token}"} | more
    return httpx.get(f"{lab.url}chunkserve/{path}", headers=headers, timeout=60)


def test_files_of_the_notebooks_folder_are_served_behind_jupyter(lab: Lab) -> None:
    reply = get(lab, "slice/run%201/a.nxs/x?format=json&sel=1:3")
    assert reply.status_code == 200, reply.text
    assert reply.json() == VALUES[1:3].tolist()
    assert [entry["name"] for entry in get(lab, "api/files/").json()["entries"]] == ["run 1"]
    part = get(lab, "files/run%201/a.nxs", Range="bytes=0-7")
    assert (part.status_code, part.content) == (206, b"\x89HDF\r\n\x1a\n")


def test_who_may_not_use_jupyter_may_not_read(lab: Lab) -> None:
    reply = httpx.get(f"{lab.url}chunkserve/slice/run%201/a.nxs/x", timeout=60)
    assert reply.status_code in (302, 403)
    assert BASE in str(reply.headers.get("location", BASE))


@pytest.mark.skipif(not (BUILD / "index.html").is_file(), reason="the viewer is not built")
def test_the_viewer_works_below_the_path_of_the_proxy(lab: Lab) -> None:
    page = get(lab, "embed/run%201/a.nxs/x")
    assert page.status_code == 200
    assert '<base href="../../../"' in page.text
    script = next(part for part in page.text.split('"') if part.startswith("./assets/") and part.endswith(".js"))
    assert get(lab, script.removeprefix("./")).status_code == 200


def test_jupyter_knows_the_proxy_and_the_extension(lab: Lab) -> None:
    headers = {"Authorization": f"token {lab.token}"}
    told = httpx.get(f"{lab.url}server-proxy/servers-info", headers=headers, timeout=60).json()["server_processes"]
    assert "chunkserve" in [one["name"] for one in told]
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "labextension", "list"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "chunkserve v0.1.0" in listed.stderr + listed.stdout
    script = httpx.get(f"{lab.url}lab/extensions/chunkserve/static/remoteEntry.js", headers=headers, timeout=60)
    assert script.status_code == 200
    assert any(str(path).endswith("labextensions/chunkserve/package.json") for path in files("chunkserve") or ())


def test_a_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VALUES
    path = tmp_path / "socket"
    command = [sys.executable, "-m", "chunkserve", "serve", str(tmp_path), f"--unix-socket={path}", "--workers=2"]
    options = ["--search=no", "--log-level=warning"]
    server = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert str(path) in server.stdout.readline()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        for _ in range(10):
            assert client.get("http://local/slice/a.h5/x?format=json").json() == VALUES.tolist()
    second = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert "another --unix-socket" in second.stderr + second.stdout
    server.terminate()
    assert server.communicate(timeout=20)[1] == ""
    assert not path.exists()
