"""h5grove's own endpoint tests and H5Web's own provider test against ``/h5grove``, out of clones of their repositories.

    python -m tests.conformance.suites --h5grove ~/src/h5grove --h5web ~/src/h5web

Neither is in a package. Clones, or bare ones, lie wherever they do; nothing is written to them, their last commits are
used. H5Web's test needs npm. As root, ``setpriv`` (util-linux) takes from the server what lets it read everything.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.conftest import Server

EXTERNAL = """
import os, pathlib
import base_test, pytest
from conftest import SubprocessServer

class TestExternalServer(base_test.BaseTestEndpoints):
    @pytest.fixture
    def server(self):
        yield SubprocessServer(pathlib.Path(os.environ["SERVED"]), os.environ["URL"])
"""

UNPRIVILEGED = (
    "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search",
)  # fmt: skip

NPM = (
    "vitest@4.1.7",
    "axios",
    "ndarray",
    "ndarray-ops",
    "react@18",
    "react-dom@18",
    "zustand",
    "d3-format",
    "d3-array",
    "three",
)

VITEST = """
import path from 'node:path';
import { defineConfig } from 'vitest/config';
const shared = path.resolve('packages/shared/src');
export default defineConfig({
  resolve: { alias: [{ find: /^@h5web\\/shared\\/(.*)$/, replacement: `${shared}/$1.ts` }] },
  test: {
    include: ['packages/app/src/providers/h5grove/h5grove-api.test.ts'],
    env: { VITE_H5GROVE_URL: process.env.URL, VITE_H5GROVE_TEST_FILE: 'sample.h5', VITE_H5GROVE_SKIP: '' },
  },
});
"""

NUMPY2 = {"np.NINF": "-np.inf", "np.PZERO": "0.0", "np.NZERO": "-0.0", "np.string_": "np.bytes_"}
"""What H5Web's sample script calls by names that numpy 2 no longer has."""


def main() -> int:
    """Run them; the exit status."""
    parser = argparse.ArgumentParser("python -m tests.conformance.suites", description=__doc__)
    parser.add_argument("--h5grove", type=Path, help="a clone of https://github.com/silx-kit/h5grove")
    parser.add_argument("--h5web", type=Path, help="a clone of https://github.com/silx-kit/h5web")
    options = parser.parse_args()
    status = 0
    for path, run in ((options.h5grove, h5grove), (options.h5web, h5web)):
        if path is not None:
            print(f"{run.__name__} {commit(path)}", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                status |= run(path, Path(folder))
    return status


def h5grove(clone: Path, folder: Path) -> int:
    """Its endpoint tests, which write the files they ask for."""
    unpack(clone, folder, "src/tests")
    tests, served = folder / "src" / "tests", folder / "served"
    served.mkdir()
    for other in tests.glob("test_*.py"):
        other.unlink()
    (tests / "test_external.py").write_text(EXTERNAL)
    server = serve(served, folder)
    try:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            f"--rootdir={tests}",
            str(tests),
        ]
        return subprocess.run(command, cwd=tests, env=variables(server, served), check=False).returncode
    finally:
        server.stop()


def h5web(clone: Path, folder: Path) -> int:
    """Its test that reads every kind of dataset through its provider."""
    unpack(clone, folder, "packages/shared", "packages/app/src", "support/sample")
    served = folder / "served"
    served.mkdir()
    script = (folder / "support" / "sample" / "create_h5_sample.py").read_text()
    for old, new in NUMPY2.items():
        script = script.replace(old, new)
    (served / "create.py").write_text(script)
    subprocess.run([sys.executable, "create.py"], cwd=served, check=True)
    found = next(served.rglob("*.h5"))
    found.rename(served / "sample.h5")
    for settings in folder.rglob("tsconfig*.json"):
        settings.unlink()
    (folder / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": {"target": "es2022", "jsx": "react-jsx"}}))
    (folder / "vitest.config.js").write_text(VITEST)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *NPM], cwd=folder, check=True)
    server = serve(served, folder)
    try:
        return subprocess.run(
            ["npx", "vitest", "run"], cwd=folder, env=variables(server, served), check=False
        ).returncode
    finally:
        server.stop()


def serve(served: Path, folder: Path) -> Server:
    """Our server over a folder."""
    privileges = UNPRIVILEGED if os.getuid() == 0 else ()
    return Server((str(served),), {"settle": 0, "workers": 1, "cache_dir": str(folder / "cache")}, privileges)


def variables(server: Server, served: Path) -> dict[str, str]:
    """What the tests are told."""
    return os.environ | {"URL": f"{server.url}/h5grove", "SERVED": str(served), "CI": "1"}


def unpack(clone: Path, folder: Path, *paths: str) -> None:
    """The last commit's files below some paths."""
    done = subprocess.run(["git", "-C", str(clone), "archive", "HEAD", *paths], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def commit(clone: Path) -> str:
    """Which commit that is, and of when."""
    command = ["git", "-C", str(clone), "log", "-1", "--format=%h (%cs)"]
    return re.sub(r"\s", " ", subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    sys.exit(main())
