"""HSDS with one node over a copy of a file: hsds_app.py FILE PORT WORKERS.

It has a format of its own on disk, so the datasets of the root group are loaded first, by its own tool, into a folder
beside the file's, which is kept. Ready when the folder ``/home/ready/`` is there.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import h5py

PIN = """
import aiohttp.web as web
_run = web.run_app
def run_app(app, **words):
    if words.get("host") or words.get("port"):
        words["host"] = "127.0.0.1"
    return _run(app, **words)
web.run_app = run_app
"""
"""Its nodes listen on all addresses whatever ``--host`` says; this keeps them here."""

FOREIGN = 256
"""The first number of a filter that is not libhdf5's own."""

USER = "admin"
file, port, count = sys.argv[1:4]
place = Path(os.environ["TMPDIR"])
source = Path(file)
os.chdir(place)  # its tools leave a log where they are run
stamp = source.stat()
store, site = source.parents[1] / f"hsds-{stamp.st_size}-{stamp.st_mtime_ns}", place / "site"
loaded = store / "loaded"
(store / "bench").mkdir(parents=True, exist_ok=True)
site.mkdir(exist_ok=True)
(site / "sitecustomize.py").write_text(PIN)
programs = Path(sys.executable).parent
variables = os.environ | {
    "PYTHONPATH": str(site), "DEFAULT_PUBLIC": "True", "BUCKET_NAME": "bench", "LOG_LEVEL": "ERROR",
    "MAX_TASK_COUNT": "100000",  # by default it answers 503 to the hundredth connection
}  # fmt: skip
server = subprocess.Popen(
    [programs / "hsds", "--root_dir", store, "--bucket_name", "bench", "--host", "127.0.0.1", "-p", port,
     "--hs_username", USER, "--hs_password", USER, "--count", count],
    env=variables,
)  # fmt: skip
access = ["-e", f"http://127.0.0.1:{port}", "-u", USER, "-p", USER]


def tell(*words: str | os.PathLike[str]) -> bool:
    """Run one of its tools; whether it succeeded."""
    return subprocess.run([programs / words[0], *access, *words[1:]], check=False).returncode == 0


def load() -> None:
    """Load the datasets of the root group, but for those with filters that it does not know."""
    part = place / source.name
    with h5py.File(source) as whole, h5py.File(part, "w") as out:
        for name in whole:
            if isinstance(whole[name], h5py.Dataset) and known(whole[name]):
                whole.copy(name, out)
    if not tell("hsload", part, "/home/bench.h5"):
        server.terminate()
        raise SystemExit("hsload failed")
    loaded.touch()
    part.unlink()


def known(dataset: h5py.Dataset) -> bool:
    """Whether all filters are libhdf5's own."""
    made = dataset.id.get_create_plist()
    return all(made.get_filter(i)[0] < FOREIGN for i in range(made.get_nfilters()))


deadline = time.monotonic() + 60
while not tell("hstouch", "/home/") and not loaded.exists() and time.monotonic() < deadline:
    time.sleep(1)
if not loaded.exists():
    load()
if loaded.exists():
    tell("hstouch", "/home/ready/")
sys.exit(server.wait())
