"""Downloads go on where they ended, and never join two versions."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunkserve_client import ClientError, FileChanged, download
from clients.python.tests.conftest import Serve
from clients.python.tests.test_faults import write


class Stopping:
    """A transport's stream that breaks off after so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, transport: Any, after: int, action: Any) -> None:
        self.ranges: list[str] = []
        stream = transport.stream
        state = {"left": after}

        async def broken(path: str, headers: dict[str, str], expect: frozenset[int]) -> Any:
            self.ranges.append(headers.get("Range", ""))
            async for answer, data in stream(path, headers, expect):
                yield answer, data
                if state["left"] > 0:
                    state["left"] -= len(data)
                    if state["left"] <= 0:
                        action()

        monkeypatch.setattr(transport, "stream", broken)


def test_a_file_is_downloaded_byte_for_byte(tmp_path: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.h5", 1)
    file = serve(tmp_path).connect()["a.h5"]
    target = tmp_path / "here.h5"
    assert file.download(str(target)) == str(target)
    assert target.read_bytes() == (tmp_path / "a.h5").read_bytes()
    assert "here.h5: 100%" in capsys.readouterr().err
    file.download(str(target), progress=False)
    assert capsys.readouterr().err == ""
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", "here.h5"}


def test_an_interrupted_download_goes_on(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.h5", 1)
    file = serve(tmp_path).connect()["a.h5"]
    target = tmp_path / "here.h5"

    class Interrupted(Exception):
        pass

    def stop() -> None:
        raise Interrupted

    stopping = Stopping(monkeypatch, file.place.transport, 1_000_000, stop)
    with pytest.raises(Interrupted):
        file.download(str(target), progress=False)
    part = tmp_path / "here.h5.part"
    size = part.stat().st_size
    assert size >= 1_000_000
    assert not target.exists()
    file.download(str(target), progress=False)
    assert stopping.ranges == ["", f"bytes={size}-"]
    assert target.read_bytes() == (tmp_path / "a.h5").read_bytes()
    assert not part.exists()


def test_a_download_that_had_all_of_it_ends_well(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path / "a.h5", 1)
    file = serve(tmp_path).connect()["a.h5"]
    target = tmp_path / "here.h5"
    file.download(str(target), progress=False)
    os.rename(target, f"{target}.part")
    etag = download.loop.run(file.place.transport.get("/files/a.h5", {"Range": "bytes=0-0"})).etag
    download._write_note(f"{target}.part.json", {"url": f"{file.place.options.url}/files/a.h5", "etag": etag})
    file.download(str(target), progress=False)
    assert target.read_bytes() == (tmp_path / "a.h5").read_bytes()


def test_a_server_that_ends_mid_download_is_waited_for(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.h5", 1)
    running = serve(tmp_path)
    file = running.connect(patience=60.0)["a.h5"]
    target = tmp_path / "here.h5"

    Stopping(monkeypatch, file.place.transport, 500_000, lambda: running.restart(signal.SIGKILL))
    file.download(str(target), progress=False)
    assert target.read_bytes() == (tmp_path / "a.h5").read_bytes()


def test_a_file_replaced_mid_download_is_an_error(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.h5", 1)
    file = serve(tmp_path).connect()["a.h5"]
    target = tmp_path / "here.h5"

    class Interrupted(Exception):
        pass

    def stop() -> None:
        raise Interrupted

    Stopping(monkeypatch, file.place.transport, 500_000, stop)
    with pytest.raises(Interrupted):
        file.download(str(target), progress=False)
    write(tmp_path / "a.h5", 2)
    with pytest.raises(FileChanged, match="start again"):
        file.download(str(target), progress=False)
    assert not (tmp_path / "here.h5.part").exists()
    with pytest.raises(FileChanged):  # it was opened in the old version
        file.download(str(target), progress=False)
    file.refresh()
    file.download(str(target), progress=False)
    assert target.read_bytes() == (tmp_path / "a.h5").read_bytes()


def test_a_dataset_is_saved_and_goes_on(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    want = write(tmp_path / "a.h5", 1)
    dataset = serve(tmp_path).connect(cache_memory=0)["a.h5"]["x"]
    monkeypatch.setattr(download, "BLOCK", 4 << 20)
    target = tmp_path / "x.npy"
    real = type(dataset).__getitem__
    asked = []

    def sometimes(self: Any, key: Any) -> Any:
        asked.append(key)
        if len(asked) == 3:
            raise ClientError("interrupted")
        return real(self, key)

    monkeypatch.setattr(type(dataset), "__getitem__", sometimes)
    with pytest.raises(ClientError, match="interrupted"):
        dataset.save(str(target))
    assert not target.exists()
    dataset.save(str(target))
    assert asked[2] == asked[3]
    np.testing.assert_array_equal(np.load(target), want)
    assert "x.npy: 100%" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", "x.npy"}


def test_what_npy_cannot_hold_is_refused(tmp_path: Path, serve: Serve) -> None:
    import h5py  # noqa: PLC0415

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["text"], file["scalar"], file["none"] = ["a", "b"], 5, np.zeros((0, 3))
    remote = serve(tmp_path).connect()["a.h5"]
    with pytest.raises(TypeError, match="cannot be saved"):
        remote["text"].save(str(tmp_path / "t.npy"))
    for name in ("scalar", "none"):
        remote[name].save(str(tmp_path / f"{name}.npy"), progress=False)
    assert np.load(tmp_path / "scalar.npy") == 5
    assert np.load(tmp_path / "none.npy").shape == (0, 3)
