"""A reader process can open no file but its own."""

import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from chunkserve import wire
from chunkserve.hdf5.landlock import abi
from chunkserve.model import Snapshot

pytestmark = pytest.mark.skipif(not abi(), reason="the kernel has no Landlock")

TRY = """
import os, sys
from chunkserve.hdf5.landlock import forbid_opening_files
before = os.open(sys.argv[1], os.O_RDWR)
assert forbid_opening_files()
attempts = {
    "read": lambda: open(sys.argv[1]),
    "write": lambda: open(sys.argv[1], "a"),
    "create": lambda: open(sys.argv[1] + ".new", "w"),
    "list": lambda: os.listdir(os.path.dirname(sys.argv[1])),
    "remove": lambda: os.unlink(sys.argv[1]),
    "rename": lambda: os.rename(sys.argv[1], sys.argv[1] + ".moved"),
    "mkdir": lambda: os.mkdir(sys.argv[1] + ".dir"),
    "execute": lambda: os.execv("/bin/true", ["true"]),
    "through proc": lambda: open(f"/proc/self/fd/{before}"),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError as error:
        print(name, error.strerror)
    else:
        print(name, "worked")
print(os.pread(before, 6, 0).decode())
pid = os.fork()
if pid == 0:
    try:
        open(sys.argv[1])
    except PermissionError:
        os._exit(7)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_after_the_wall_no_path_leads_anywhere_and_open_descriptors_work(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("secret")
    run = subprocess.run([sys.executable, "-c", TRY, str(tmp_path / "f")], capture_output=True, text=True, check=True)
    *attempts, content, child = run.stdout.splitlines()
    assert len(attempts) == 9
    assert all(line.endswith("Permission denied") for line in attempts), attempts
    assert content == "secret"
    assert child == "7"  # children are behind it too
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_reader_is_behind_the_wall_as_soon_as_it_has_answered(tmp_path: Path, make_readers, open_file) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["x"] = 1
    readers = make_readers()
    readers.call(open_file(tmp_path / "f.h5"), wire.Task(scan=wire.Scan((), 10, 1.0, 100)), Snapshot)
    (pid,) = readers._idle
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "NoNewPrivs:\t0" in Path(f"/proc/{readers._zygote.pid}/status").read_text()
