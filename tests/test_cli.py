"""The command line as people and service managers use it: what it says, what it returns, what it leaves behind."""

import contextlib
import dataclasses
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve import __version__
from chunkserve.settings import Settings

COMMANDS = ["serve", "demo", "inspect", "warm", "index", "cache", "keys", "settings"]


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    command = [sys.executable, "-m", "chunkserve", *map(str, arguments)]
    variables = os.environ | {"COLUMNS": "100"} | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=variables)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file of several kinds of dataset."""
    made = tmp_path_factory.mktemp("data")
    with h5py.File(made / "run.h5", "w") as file:
        entry = file.create_group("entry")
        entry.create_dataset(
            "stack", data=np.arange(2 * 300 * 400, dtype="u4").reshape(2, 300, 400), chunks=(1, 300, 400),
            compression="gzip", shuffle=True,
        )  # fmt: skip
        entry.create_dataset("log", data=np.arange(2000.0), chunks=(1,), maxshape=(None,))
        entry.create_dataset("packed", data=np.arange(90_000), chunks=(45_000,), compression="lzf")
        entry["line"] = np.arange(10.0)
        entry["title"] = "a [bracketed] title"
        file["soft"] = h5py.SoftLink("/entry/line")
        file["dangling"] = h5py.SoftLink("/nothing")
        file["away"] = h5py.ExternalLink("nothing.h5", "/x")
    return made


# ----------------------------------------------------------------------- help


def test_the_version_is_that_of_the_package() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"chunkserve {__version__}\n")


def test_help_teaches_by_example() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^    {command} +\S", done.stdout, re.MULTILINE)
        assert f"  chunkserve {command}" in done.stdout
    assert "CHUNKSERVE_NAME" in done.stdout
    assert "--config" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_says_what_it_does_and_every_setting(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    assert re.search(r"(Serve|Make|Show|Compute|Look|stats:|create:) .{20,}", text)
    for row in dataclasses.fields(Settings):
        assert f"--{row.name.replace('_', '-')} {row.metadata['unit'].upper()}" in text
        assert " ".join(row.metadata["help"].split()) in text


def test_a_command_is_needed() -> None:
    done = run()
    assert done.returncode == 2
    assert "COMMAND" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("command", ["srve", "--serve"])
def test_a_command_that_does_not_exist_is_an_error(command: str) -> None:
    done = run(command)
    assert done.returncode == 2
    assert "chunkserve: error:" in done.stderr


# ------------------------------------------------------------------- settings


def test_settings_are_shown_with_value_default_unit_and_meaning() -> None:
    done = run("settings", "--cache-memory=1GiB", CHUNKSERVE_THREADS="3")
    assert done.returncode == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    for row in dataclasses.fields(Settings):
        assert row.metadata["unit"] in rows[row.name]
        assert row.metadata["help"] in rows[row.name]
    assert rows["cache_memory"].split()[1:3] == ["1GiB", "256MiB"]
    assert rows["threads"].split()[1:3] == ["3", "8"]
    assert "CHUNKSERVE_NAME" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port=x"], "--port"),
        (["--cache-memory=lots"], "'lots' is not a size such as 512MiB"),
        (["--config=/nothing/at/all.toml"], "/nothing/at/all.toml"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(arguments: list[str], complaint: str) -> None:
    done = run("settings", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_misspelt_setting_in_the_config_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("prot = 8000\n")
    done = run("settings", "--config", tmp_path / "c.toml")
    assert done.returncode == 2
    assert "no setting is called 'prot'" in done.stderr


# -------------------------------------------------------------------- inspect


def test_inspect_shows_the_tree_with_the_verdict_on_each_dataset(folder: Path) -> None:
    done = run("inspect", folder / "run.h5")
    assert (done.returncode, done.stderr.strip()) == (0, "")
    lines = {line.strip("│├└─ ").split()[0]: line for line in done.stdout.splitlines()}
    assert re.search(r"stack  2x300x400  uint32  chunks 1x300x400  shuffle\+gzip [\d.]+:1  re-headed", lines["stack"])
    assert "decoded (chunks of 8 bytes are merged)" in lines["log"]
    assert re.search(r"packed .* decoded \(.*lzf.*\)", lines["packed"])
    assert "byte ranges" in lines["line"]
    assert "byte ranges" in lines["soft"]
    assert "title  scalar  text  decoded (variable-length strings)" in lines["title"]
    assert "dangling" in lines
    assert "external link to nothing.h5:/x (not reachable" in done.stdout


def test_inspect_as_json_has_the_same_facts(folder: Path) -> None:
    done = run("inspect", folder / "run.h5", "--json")
    assert done.returncode == 0
    tree = json.loads(done.stdout)
    assert (tree["name"], tree["kind"]) == ("run.h5", "group")
    members = {m["name"]: m for m in tree["members"]}
    assert members["away"]["kind"] == members["dangling"]["kind"] == "link"
    found = {m["name"]: m for m in members["entry"]["members"]}
    ratio = found["stack"].pop("ratio")
    assert ratio > 1
    assert found["stack"] == {
        "name": "stack",
        "kind": "dataset",
        "shape": [2, 300, 400],
        "dtype": "uint32",
        "layout": "chunked",
        "chunks": [1, 300, 400],
        "filters": "shuffle+gzip",
        "verdict": "re-headed (shuffle+gzip)",
    }
    assert found["line"]["chunks"] is None


def test_inspect_of_a_path_shows_what_is_below_it(folder: Path) -> None:
    tree = json.loads(run("inspect", folder / "run.h5", "entry", "--json").stdout)
    assert {m["name"] for m in tree["members"]} == {"stack", "log", "packed", "line", "title"}
    for spelling in ("entry/line", "/entry/line/"):
        leaf = json.loads(run("inspect", folder / "run.h5", spelling, "--json").stdout)
        assert (leaf["name"], leaf["kind"], leaf["verdict"]) == ("line", "dataset", "byte ranges")


@pytest.mark.parametrize(
    ("file", "path", "complaint"),
    [
        ("nothing.h5", "", r"nothing\.h5: no such file"),
        ("run.h5", "entry/nothing", r"not found: nothing"),
        ("notes.txt", "", r"notes\.txt"),
        (".", "", r"no such file"),
    ],
)
def test_inspect_says_what_is_wrong(folder: Path, tmp_path: Path, file: str, path: str, complaint: str) -> None:
    (tmp_path / "notes.txt").write_text("not HDF5 at all\n" * 50)
    where = tmp_path if file == "notes.txt" else folder
    done = run("inspect", where / file, *([path] if path else []), "--settle=0")
    assert done.returncode == 2
    assert re.search(complaint, done.stderr)
    assert "Traceback" not in done.stderr
    assert not done.stdout


# ---------------------------------------------------------------------- serve


class Running:
    """A server started as a user would, with a mark in its environment that all its processes carry."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.mark = uuid.uuid4().hex
        variables = os.environ | {"COLUMNS": "400", "CHUNKSERVE_TEST_MARK": self.mark} | environment
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chunkserve", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables,
        )  # fmt: skip

    def banner(self) -> str:
        """What it prints until it serves."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C stops" in line:
                return "".join(lines)
        raise AssertionError(f"no banner: {lines} {self.process.communicate()[1]}")

    def start(self) -> str:
        """Wait for the banner; the base URL."""
        found = re.search(r" at (http://\S+)", self.banner())
        assert found
        return found[1]

    def processes(self) -> set[int]:
        """All that were started for it and live."""
        found = set()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
        return found

    def workers(self) -> set[int]:
        """Processes that the supervisor has started; one of them indexes, unless that is switched off."""
        pid = self.process.pid
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Tell it to stop; exit status and complaints."""
        self.process.send_signal(number)
        _, complaints = self.process.communicate(timeout=20)
        return self.process.returncode, complaints

    def clean_up(self) -> None:
        """Leave nothing to the next test."""
        while found := self.processes():  # one may be born while others are counted
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.communicate()


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start ``chunkserve``; whatever it leaves behind is killed afterwards."""
    with contextlib.ExitStack() as stack:

        def begin(*arguments: object, **environment: str) -> Running:
            running = Running(*arguments, **environment)
            stack.callback(running.clean_up)
            return running

        yield begin


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as reply:
        return reply.read()


def eventually(check: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(0.05)
    return check()


def test_the_banner_gives_urls_that_work(folder: Path, start: Start) -> None:
    running = start("serve", folder, "--port=0", "--workers=1")
    text = running.banner()
    assert f"chunkserve {__version__} with 1 workers at http://127.0.0.1:" in text
    assert str(folder) in text
    urls = re.findall(r"http://[^\s\"]+", text)
    assert len(urls) >= 4
    for url in urls:
        documents = ("", "/zarr.json") if url.endswith("run.h5") else ("",)
        assert all(get(url + document) for document in documents[-1:])
    for call in ("xarray.open_zarr(", "zarr.open(", "curl "):
        assert call in text


def test_roots_may_be_named(folder: Path, tmp_path: Path, start: Start) -> None:
    (tmp_path / "other").mkdir()
    running = start("serve", f"raw={folder}", tmp_path / "other", f"one={folder / 'run.h5'}", "--port=0", "--workers=1")
    base = running.start()
    assert b'"group"' in get(f"{base}/zarr/raw/run.h5/zarr.json")
    assert get(f"{base}/zarr/other/")
    assert b'"group"' in get(f"{base}/zarr/one/run.h5/zarr.json")
    listing = get(f"{base}/zarr/").decode()
    assert all(name in listing for name in ("raw/", "other/", "one/"))


def test_a_single_file_is_served_under_its_name(folder: Path, start: Start) -> None:
    base = start("serve", folder / "run.h5", "--port=0", "--workers=1").start()
    assert b'"group"' in get(f"{base}/zarr/run.h5/zarr.json")


def test_roots_may_come_from_the_config_file(folder: Path, tmp_path: Path, start: Start) -> None:
    (tmp_path / "c.toml").write_text(f'port = 0\nworkers = 1\n[roots]\nraw = "{folder}"\n')
    base = start("serve", "--config", tmp_path / "c.toml").start()
    assert get(f"{base}/zarr/raw/run.h5/zarr.json")


def test_listening_beyond_this_machine_is_said(folder: Path, start: Start) -> None:
    running = start("serve", folder, "--port=0", "--workers=1", "--host=0.0.0.0")
    text = running.banner()
    assert "http://localhost:" in text
    assert "everybody who reaches it may read these files" in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["/nothing/here"], "/nothing/here: no such file or folder"),
        (["name=/nothing/here"], "/nothing/here: no such file or folder"),
        ([], "nothing to serve: give a PATH"),
    ],
)
def test_a_bad_path_is_said_and_nothing_is_served(arguments: list[str], complaint: str) -> None:
    done = run("serve", *arguments, "--port=0", "--workers=1")
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert "http://" not in done.stdout


def test_a_path_that_is_neither_file_nor_folder_is_said(start: Start) -> None:
    running = start("serve", "/dev/null", "--port=0", "--workers=1")
    assert eventually(lambda: running.process.poll() is not None, 5)
    assert running.process.returncode == 2
    assert "/dev/null" in running.process.communicate()[1]


def test_a_port_in_use_is_said(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", folder, f"--port={port}", "--workers=2")
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "try another --port" in done.stderr


def test_a_port_of_another_server_of_ours_is_not_shared(folder: Path, start: Start) -> None:
    port = start("serve", folder, "--port=0", "--workers=1").start().rsplit(":", 1)[1]
    done = run("serve", folder, f"--port={port}", "--workers=1")
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_leaves_no_process(
    folder: Path, tmp_path: Path, start: Start, number: signal.Signals
) -> None:
    flags = ("--port=0", "--workers=2", "--log-level=warning", f"--cache-dir={tmp_path}")
    running = start("serve", folder, *flags)
    base = running.start()
    for _ in range(8):  # both workers have their readers
        assert get(f"{base}/zarr/run.h5/zarr.json")
        assert get(f"{base}/zarr/run.h5/entry/packed/c/0")
    assert len(running.processes()) > 3, "no reader was started: the test tests nothing"
    began = time.monotonic()
    assert running.end(number) == (0, "")
    assert time.monotonic() - began < 10
    assert eventually(lambda: not running.processes(), 5), "processes are left"


def test_an_idle_connection_does_not_keep_it_from_ending(folder: Path, start: Start) -> None:
    running = start("serve", folder, "--port=0", "--workers=1")
    host = running.start().removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", "/zarr/run.h5/zarr.json")
    assert connection.getresponse().read()
    began = time.monotonic()
    assert running.end(signal.SIGTERM)[0] == 0
    assert time.monotonic() - began < 8
    connection.close()


def test_no_process_outlives_a_killed_supervisor(folder: Path, start: Start) -> None:
    running = start("serve", folder, "--port=0", "--workers=2")
    url = running.start()
    assert get(f"{url}/healthz")
    running.process.kill()
    assert eventually(lambda: not running.processes())


def test_no_process_outlives_a_killed_supervisor_and_its_workers(folder: Path, tmp_path: Path, start: Start) -> None:
    running = start("serve", folder, "--port=0", "--workers=1", f"--cache-dir={tmp_path}")
    assert get(running.start() + "/zarr/run.h5/zarr.json")
    helpers = running.processes() - running.workers() - {running.process.pid}
    assert helpers, "no reader was started: the test tests nothing"
    for pid in (*running.workers(), running.process.pid):
        os.kill(pid, signal.SIGKILL)
    running.process.communicate()
    assert eventually(lambda: not running.processes(), 10), "readers are left"


def test_a_worker_that_dies_is_replaced(folder: Path, start: Start) -> None:
    running = start("serve", folder, "--port=0", "--workers=1", "--search=no")
    base = running.start()
    assert get(f"{base}/healthz")
    (first,) = running.workers()
    time.sleep(1.1)  # so that it does not count as dying at once
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: bool(running.workers() - {first}))
    assert get(f"{base}/zarr/run.h5/zarr.json")
    status, complaints = running.end(signal.SIGTERM)
    assert status == 0
    assert re.search(rf"worker {first} ended \(SIGKILL\), starting\s+another", complaints)


def test_sighup_replaces_every_worker_and_no_request_is_lost(folder: Path, start: Start) -> None:
    running = start("serve", folder, "--port=0", "--workers=2", "--log-level=warning", "--search=no")
    base = running.start()
    assert eventually(lambda: len(running.workers()) == 2)
    before = running.workers()
    want = get(f"{base}/zarr/run.h5/entry/packed/c/0")
    running.process.send_signal(signal.SIGHUP)
    answers = 0

    def replaced() -> bool:
        nonlocal answers
        assert get(f"{base}/zarr/run.h5/entry/packed/c/0") == want
        answers += 1
        return len(running.workers()) == 2 and not running.workers() & before

    assert eventually(replaced)
    assert answers > 10
    assert running.end(signal.SIGTERM) == (0, "")
    assert eventually(lambda: not running.processes(), 5)


def test_sigterm_ends_it_while_workers_are_being_replaced(folder: Path, start: Start) -> None:
    running = start("serve", folder, "--port=0", "--workers=2")
    assert get(running.start() + "/healthz")
    running.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    running.process.send_signal(signal.SIGTERM)
    assert eventually(lambda: running.process.poll() is not None, 8)
    assert eventually(lambda: not running.processes(), 5)


# ----------------------------------------------------------------------- demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The demonstration data, made once."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    return folder, run("demo", "--make-only", "--folder", folder)


def test_demo_makes_its_data_and_says_where(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = demo
    assert done.returncode == 0
    assert f"sample data in {folder}" in done.stdout
    assert {path.name for path in folder.iterdir()} == {
        "tomography.nxs", "diffraction.h5", "climate.nc", "fluorescence.h5", "peaks.h5", "scan.h5", "scan_part1.h5",
        "scan_part2.h5",
    }  # fmt: skip


def test_demo_makes_its_data_only_once(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = demo
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert run("demo", "--make-only", "--folder", folder).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_every_dataset_of_the_demo_is_served(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = demo
    for path in sorted(folder.iterdir()):
        text = run("inspect", path).stdout
        assert "not served" not in text
    assert "virtual, chunks of the sources" in run("inspect", folder / "scan.h5").stdout


def test_demo_serves_what_it_made(demo: tuple[Path, subprocess.CompletedProcess[str]], start: Start) -> None:
    running = start("demo", "--folder", demo[0], "--port=0", "--workers=1")
    base = running.start()
    for path in demo[0].iterdir():
        assert get(f"{base}/zarr/{path.name}/zarr.json")
    assert running.end(signal.SIGINT)[0] == 0


def test_demo_that_cannot_write_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run("demo", "--make-only", "--folder", tmp_path / "file")
    assert done.returncode == 2
    assert "cannot make sample data in" in done.stderr
    assert "Traceback" not in done.stderr


# ----------------------------------------------------------------- warm and cache


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file whose one dataset has levels."""
    where = tmp_path_factory.mktemp("volume")
    with h5py.File(where / "v.h5", "w") as file:
        data = np.random.default_rng(0).integers(0, 99, (200, 200, 200), "u2")
        file.create_dataset("entry/x", data=data, chunks=(64, 64, 64), compression="gzip")
        file["small"] = np.zeros((3, 3))
        file["name"] = "text"
    return where


def test_warm_makes_levels_that_a_server_finds(volume: Path, tmp_path: Path, start: Start) -> None:
    cache = f"--cache-dir={tmp_path}"
    done = run("warm", volume / "v.h5", cache, "--settle=0")
    assert done.returncode == 0, done.stderr
    assert "entry/x" in done.stdout
    assert "small" not in done.stdout
    url = start(
        "serve", volume, "--port=0", "--workers=1", "--settle=0", "--max-source-bytes=0", "--wait=0.01", cache
    ).start()
    assert get(f"{url}/ome/v.h5/entry/x/2/c/0/0/0")  # nothing may be read for it any more
    again = run("warm", volume / "v.h5", "entry/x", cache, "--settle=0")
    assert again.returncode == 0


def test_warm_follows_the_names_that_are_served(volume: Path, tmp_path: Path, start: Start) -> None:
    cache, roots = f"--cache-dir={tmp_path}", f"--roots=lab={volume},other={tmp_path}"
    assert run("warm", volume / "v.h5", cache, roots, "--settle=0").returncode == 0
    flags = ["--port=0", "--workers=1", "--settle=0", "--max-source-bytes=0", "--wait=0.01", cache]
    url = start("serve", f"lab={volume}", f"other={tmp_path}", *flags).start()
    assert get(f"{url}/ome/lab/v.h5/entry/x/2/c/0/0/0")
    astray = run("warm", volume / "v.h5", cache, f"--roots={tmp_path}", "--settle=0")
    assert astray.returncode == 2
    assert "not below" in astray.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["/nothing.h5"], "no such file"),
        (["v.h5", "nothing"], "not found"),
        (["v.h5", "name"], "holds no numbers"),
        (["v.h5", "entry/x", "--method=median"], "none of mean"),
        (["v.h5", "entry/x", "--axes=q"], "is no axis"),
    ],
    ids=str,
)
def test_warm_says_what_is_wrong(volume: Path, tmp_path: Path, arguments: list[str], complaint: str) -> None:
    words = [str(volume / word) if word == "v.h5" else word for word in arguments]
    done = run("warm", *words, f"--cache-dir={tmp_path}", "--settle=0")
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_warm_goes_on_where_it_was(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("x", (40, 8192, 8192), "u1", chunks=(1, 8192, 8192), compression="gzip", fillvalue=3)
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "chunkserve", "warm", str(tmp_path / "v.h5"), "--settle=0", "--jobs=1"]
    heeding = ["env", "--default-signal=INT", *command, f"--cache-dir={cache}"]  # a shell's background jobs ignore it
    process = subprocess.Popen(heeding, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert eventually(lambda: len(list(cache.glob("making/*/blocks/*/*"))) >= 2, 60)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130, complaints
    kept = {path: path.stat().st_mtime_ns for path in cache.glob("making/*/blocks/*/*")}
    assert 0 < len(kept) < 40
    assert run(*command[3:], f"--cache-dir={cache}").returncode == 0
    for path, written in kept.items():
        assert path.stat().st_mtime_ns == written
    assert list(cache.glob("levels/*/1/zarr.json"))


def test_cache_commands(volume: Path, tmp_path: Path) -> None:
    cache = f"--cache-dir={tmp_path}"
    assert run("warm", volume / "v.h5", cache, "--settle=0").returncode == 0
    shown = run("cache", "stats", cache)
    assert shown.returncode == 0
    assert re.search(r"levels\s+\d+\s+[\d.]+ [kM]?B", shown.stdout)
    assert run("cache", "verify", cache).returncode == 0
    chunk = next(tmp_path.glob("levels/*/1/c.0.0.0"))
    chunk.write_bytes(b"nonsense")
    found = run("cache", "verify", cache)
    assert found.returncode == 1
    assert "damaged" in found.stdout
    assert run("cache", "verify", cache).returncode == 0
    assert run("cache", "clear", cache).returncode == 0
    assert not list(tmp_path.rglob("c.0.0.0"))
