"""The command line, and where server and token come from."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve_client import config, connect
from chunkserve_client.cli import main, parser, selection
from clients.python.tests.conftest import Serve


@pytest.fixture
def served(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    with h5py.File(folder / "a.h5", "w") as file:
        file["entry/data"] = np.arange(600 * 700, dtype="<i4").reshape(600, 700)
    (folder / "more").mkdir()
    monkeypatch.setenv("CHUNKSERVE_URL", serve(folder).url)
    monkeypatch.chdir(tmp_path)
    return folder


def test_commands(served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    assert capsys.readouterr().out.split() == ["more/", "a.h5"]
    assert main(["ls", "-l"]) == 0
    assert "MiB  a.h5" in capsys.readouterr().out
    assert main(["tree", "a.h5"]) == 0
    assert "600x700  int32" in capsys.readouterr().out
    assert main(["get", "a.h5", "-q"]) == 0
    assert (tmp_path / "a.h5").read_bytes() == (served / "a.h5").read_bytes()
    assert main(["get", "a.h5::/entry/data", "-q"]) == 0
    assert np.load(tmp_path / "data.npy").shape == (600, 700)
    assert main(["get", "a.h5::/entry/data", "-s", "3,::100", "-o", "part.npy"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "part.npy"), np.arange(2100, 2800, 100))
    capsys.readouterr()
    assert main(["get", "a.h5::/entry/data", "-s", "0,[1,5]", "-o", "-"]) == 0
    assert capsys.readouterr().out.strip() == "[1 5]"
    assert main(["thumbnail", "a.h5::/entry/data", "-o", "t.png", "--cmap", "magma"]) == 0
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_errors_are_one_line(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["tree", "b.h5"], ["get", "a.h5::/entry"], ["get", "a.h5::/entry/data", "-s", "x"], ["ls", "zz"]):
        assert main(words) == 1
        found = capsys.readouterr().err
        assert found.startswith("error: ")
        assert found.count("\n") == 1


def test_help_has_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chunkserve_client", "--help"], capture_output=True, text=True, check=True
    )
    for word in ("ls", "tree", "get", "thumbnail", "examples:", "CHUNKSERVE_URL"):
        assert word in done.stdout
    assert parser().prog == "chunkserve-client"


def test_selections_are_read_from_text() -> None:
    assert selection("10, ::4,100:200") == (10, slice(None, None, 4), slice(100, 200))
    assert selection("...,[1, 5]") == (..., [1, 5])
    assert selection(None) is ...


def test_where_the_server_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CHUNKSERVE_URL", raising=False)
    with pytest.raises(ValueError, match="no server is named: pass its URL"):
        connect()
    file = tmp_path / "chunkserve" / "client.toml"
    assert config.profiles_file() == file
    file.parent.mkdir()
    file.write_text('[default]\nurl = "http://one"\ntoken = "1"\n[lab]\nurl = "http://two/data/"\n[bad]\n')
    assert (connect().url, connect().options.token) == ("http://one", "1")
    assert connect("lab").url == connect(profile="lab").url == "http://two/data"
    monkeypatch.setenv("CHUNKSERVE_URL", "https://three")
    monkeypatch.setenv("CHUNKSERVE_TOKEN", "3")
    assert (connect().url, connect().options.token) == ("https://three", "3")
    assert connect("http://four", token="4").options.token == "4"
    assert connect("lab").options.token == ""
    with pytest.raises(ValueError, match="there are bad, default, lab"):
        connect("nothing")
    with pytest.raises(ValueError, match="has no url"):
        connect("bad")
    with pytest.raises(ValueError, match="not the URL"):
        connect("ftp://x")
    file.write_text("[")
    with pytest.raises(ValueError, match="is not TOML"):
        connect("lab")
