"""Some thousand requests to h5grove itself and to our ``/h5grove`` over the same files: equal, but for a table.

Answers are the same status and the same bytes; JSON may be spelled differently, but keys come in the same order.
:data:`DIFFERENT` is what is better on purpose, and docs/h5web.md says so, too.
"""

import io
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import h5py
import numpy as np
import pytest

from tests.conformance.h5grove_data import write_folder
from tests.conftest import Server
from tests.faces.conftest import Reply, ask

pytest.importorskip("h5grove", reason="h5grove is not installed")

ROOT = Path(__file__).parents[2]
STRANGE, OTHERS = ("types.h5", "links.h5"), ("other.h5", "many.h5", "sub/small.h5", "zoo.h5")
FORMATS = ("json", "bin", "npy", "csv", "tiff")
SELECTIONS = (
    "0", "-1", "0,:", "1:3", "::2", "1::3", ":-1", "-2:", "5:2", "0:0", "0,0", " 1 , 0:2", "100000", "-100000",
    "0,0,0,0,0,0", "", ",", "x", "1:2:3:4", "::-1", "...", "[0,1]", "1.5", "0:2:0",
)  # fmt: skip
TEXT = 100_000
"""Elements beyond which text formats are not compared."""

Fields = dict[str, str]


class H5grove:
    """A live h5grove over a folder, with its own filters: netCDF4 names others where it is imported."""

    def __init__(self, folder: Path) -> None:
        app = str(ROOT / "tests" / "conformance" / "h5grove_app.py")
        command = [sys.executable, "-W", "ignore", app, str(folder)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HDF5_")}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.terminate()


@dataclass(frozen=True)
class Pair:
    """Both servers, and the folder they serve."""

    theirs: H5grove
    ours: str
    folder: Path

    def ask(self, endpoint: str, fields: Fields) -> tuple[Reply, Reply]:
        """Both answers."""
        query = f"/{endpoint}?{urlencode(fields)}"
        return ask(self.theirs.url + query), ask(f"{self.ours}/h5grove{query}")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("served") / "data"
    folder.mkdir()
    write_folder(folder)
    server = Server((str(folder),), {"settle": 0, "workers": 1})
    with H5grove(folder) as theirs:
        yield Pair(theirs, server.url, folder)
    assert server.stop() == ""


# ------------------------------------------------------------------ the table


@dataclass(frozen=True)
class Case:
    """A request and both answers."""

    endpoint: str
    fields: Fields
    theirs: Reply
    ours: Reply
    object: object

    @property
    def statuses(self) -> tuple[int, int]:
        return self.theirs.status, self.ours.status

    @property
    def format(self) -> str:
        return self.fields.get("format", "json")

    def message(self) -> str:
        """What ours complains about."""
        found = json.loads(self.ours.body)
        assert list(found) == ["message"]
        return found["message"]


def is_pointer(case: Case) -> bool:
    """Of what numpy only points at, theirs gives addresses of their process."""
    dataset = case.object
    return case.format == "bin" and (dataset.shape is None or dataset.dtype.hasobject)


def has_dtype(case: Case, kinds: str) -> bool:
    return isinstance(case.object, h5py.Dataset) and case.object.dtype.kind in kinds


def number(case: Case) -> np.dtype:
    """The dtype of a dataset's numbers, of ragged ones that of what is in the sequences."""
    dtype = case.object.dtype
    return h5py.check_vlen_dtype(dtype) or dtype


def is_long_double(case: Case) -> bool:
    return has_dtype(case, "f") and case.object.dtype.itemsize == 16


def same_but_limits(case: Case) -> bool:
    """All but _FillValue, valid_min and valid_max."""

    def without(value: object) -> object:
        if isinstance(value, list):
            return [without(v) for v in value if not (isinstance(v, dict) and v.get("name") in LIMITS)]
        if isinstance(value, dict):
            return {k: without(v) for k, v in value.items() if k not in LIMITS}
        return value

    return without(json.loads(case.theirs.body)) == without(json.loads(case.ours.body))


LIMITS = ("_FillValue", "valid_min", "valid_max")

DIFFERENT: dict[str, Callable[[Case], bool]] = {
    "500 without a word is 422 with a message": lambda c: (
        c.statuses == (500, 422) and len(c.message()) > 10
    ),
    "big-endian numbers in JSON": lambda c: (
        c.statuses == (500, 200) and c.endpoint == "data" and c.format == "json" and has_dtype(c, "iufc")
        and c.object.dtype.byteorder == ">" and len(json.loads(c.ours.body)) > 0
    ),
    "big-endian numbers among attributes": lambda c: (
        c.statuses == (500, 200) and c.endpoint == "attr" and c.fields["path"] == "/attributes"
        and json.loads(c.ours.body)["big_endian"] == [0, 1, 2]
    ),
    "no addresses of the process in bin": lambda c: (
        c.statuses == (200, 422) and c.endpoint == "data" and is_pointer(c) and "ask for format=json" in c.message()
    ),
    "a loop of soft links is a broken link": lambda c: (
        c.theirs.status == 500 and c.fields["file"] == "links.h5" and
        (c.ours.status == 200 or "Cannot resolve" in c.message())
    ),
    "statistics of complex numbers": lambda c: (
        c.statuses == (200, 422) and c.endpoint == "stats" and has_dtype(c, "c")
    ),
    "a TIFF of no elements": lambda c: (
        c.statuses == (200, 422) and c.format == "tiff" and c.object.size == 0
    ),
    "long double as double": lambda c: (
        c.statuses == (200, 200) and c.endpoint == "data" and c.format in ("bin", "npy") and is_long_double(c)
        and (c.format == "bin" or np.array_equal(load(c.theirs).astype("f8"), load(c.ours), equal_nan=True))
    ),
    "limits of netCDF as finite scalars": lambda c: (
        c.statuses == (200, 200) and c.endpoint in ("meta", "attr") and same_but_limits(c)
    ),
    "statistics in double precision": lambda c: (
        c.statuses == (200, 200) and c.endpoint == "stats" and number(c).kind == "f"
        and close(json.loads(c.theirs.body), json.loads(c.ours.body), number(c))
    ),
}  # fmt: skip
"""Where ours may differ, and what must hold then."""


def load(reply: Reply) -> np.ndarray:
    return np.load(io.BytesIO(reply.body))


def close(theirs: dict[str, float], ours: dict[str, float], dtype: np.dtype) -> bool:
    """Mean and deviation are equal within the precision of the dtype; the rest is equal."""
    for name, value in theirs.items():
        if name in ("mean", "std") and value is not None:
            if not np.isclose(value, ours[name], rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps):
                return False
        elif value != ours[name]:
            return False
    return list(theirs) == list(ours)


# ----------------------------------------------------------------- comparison


def same(theirs: Reply, ours: Reply) -> bool:
    """Statuses, media types and bodies; JSON with the keys in the same order."""
    media = theirs.headers.get("content-type", "")
    if theirs.status != ours.status or (theirs.status == 200 and media != ours.headers.get("content-type")):
        return False
    if theirs.headers.get("content-disposition") != ours.headers.get("content-disposition"):
        return False
    if theirs.body == ours.body:
        return True
    return "json" in media and json.dumps(json.loads(theirs.body)) == json.dumps(json.loads(ours.body))


class Comparison:
    """Asks both and counts."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.equal = 0
        self.reasons: Counter[str] = Counter()
        self.wrong: list[str] = []

    def check(self, endpoint: str, found: object = None, **fields: str) -> None:
        """Ask once."""
        theirs, ours = self.pair.ask(endpoint, fields)
        if same(theirs, ours):
            self.equal += 1
            return
        case = Case(endpoint, fields, theirs, ours, found)
        reason = next((name for name, holds in DIFFERENT.items() if holds(case)), None)
        if reason is not None:
            self.reasons[reason] += 1
        else:
            said = [f"{reply.status} {reply.body[:300]!r}" for reply in (theirs, ours)]
            self.wrong.append(f"/{endpoint}?{urlencode(fields)}: {said[0]}, ours {said[1]}")


def entities(path: Path) -> Iterator[tuple[str, object]]:
    """Every path that leads somewhere without going round in circles, and what is there (``None`` if it is broken)."""
    with h5py.File(path) as file:
        names = ["/"]
        file.visit_links(lambda name: names.append(f"/{name}"))
        if "links" in path.name:
            names += [f"/soft_group/{n}" for n in file["group"]] + ["/external_group/er", "/group/up/group/self/data"]
        for name in names:
            try:
                yield name, file[name]
            except (KeyError, OSError, RuntimeError):
                yield name, None


@pytest.mark.parametrize("names", [STRANGE, OTHERS], ids=["strange", "others"])
def test_all_that_is_in_a_file_is_told_as_h5grove_tells_it(pair: Pair, names: tuple[str, ...]) -> None:
    compared = Comparison(pair)
    for name in names:
        for path, found in entities(pair.folder / name):
            if path.startswith("/entry/g") and path > "/entry/g005":
                continue
            check_metadata(compared, name, path, found)
            if isinstance(found, h5py.Dataset):
                check_values(compared, name, path, found)
    assert compared.wrong == [], "\n".join(compared.wrong)
    assert compared.equal > 1000
    if names == STRANGE:
        assert set(compared.reasons) == set(DIFFERENT), "a row that nothing needs"


def test_the_page_has_the_table_of_differences() -> None:
    page = (ROOT / "docs" / "h5web.md").read_text()
    assert [reason for reason in DIFFERENT if f"| {reason} |" not in page] == []


def check_metadata(compared: Comparison, file: str, path: str, found: object) -> None:
    for endpoint in ("meta", "attr"):
        compared.check(endpoint, found, file=file, path=path)
    for resolve in ("none", "all", "only_valid"):
        compared.check("meta", found, file=file, path=path, resolve_links=resolve)
    if not isinstance(found, h5py.Dataset):
        compared.check("data", found, file=file, path=path)
        compared.check("stats", found, file=file, path=path)
    compared.check("paths", found, file=file, path=path)
    for key in found.attrs if found is not None else ():
        compared.check("attr", found, file=file, path=path, attr_keys=key)


def check_values(compared: Comparison, file: str, path: str, found: h5py.Dataset) -> None:
    compared.check("stats", found, file=file, path=path)
    small = (found.size or 0) <= TEXT
    for form in FORMATS:
        if small or form not in ("json", "csv"):
            compared.check("data", found, file=file, path=path, format=form)
    compared.check("data", found, file=file, path=path, format="bin", dtype="safe")
    compared.check("data", found, file=file, path=path, format="npy", dtype="origin", flatten="1")
    if small:
        compared.check("data", found, file=file, path=path, flatten="true")
        compared.check("data", found, file=file, path=path, dtype="safe")
    if not file.startswith("zoo") or path.startswith("/layouts"):
        for selection in SELECTIONS:
            compared.check("data", found, file=file, path=path, format="npy", selection=selection)
        for selection in SELECTIONS[:3]:
            compared.check("data", found, file=file, path=path, flatten="true", selection=selection)
            compared.check("stats", found, file=file, path=path, selection=selection)


ODD: tuple[tuple[str, Fields], ...] = (
    ("meta", {"file": "gone.h5"}),
    ("meta", {"file": "sub/../gone.h5"}),
    ("meta", {"file": "types.h5", "path": "/nope"}),
    ("meta", {"file": "types.h5", "path": "nope/at/all"}),
    ("attr", {"file": "types.h5", "path": "/numbers/u1/below"}),
    ("data", {"file": "types.h5", "path": ""}),
    ("meta", {"file": "types.h5", "path": ""}),
    ("meta", {"file": "types.h5", "path": "numbers"}),
    ("meta", {"file": "types.h5", "path": "numbers/"}),
    ("meta", {"file": "types.h5", "path": "//numbers//u1"}),
    ("meta", {"file": "types.h5", "path": "/numbers/./u1"}),
    ("meta", {"file": "types.h5", "path": "/numbers/../numbers"}),
    ("meta", {"file": "/types.h5"}),
    ("meta", {"file": "./types.h5"}),
    ("meta", {"file": "sub//small.h5"}),
    ("paths", {"file": "links.h5", "path": "tree/branch/"}),
    ("meta", {"file": "types.h5", "resolve_links": "maybe"}),
    ("meta", {"file": "types.h5", "resolve_links": "True"}),
    ("meta", {"file": "gone.h5", "resolve_links": "maybe"}),
    ("paths", {"file": "types.h5", "resolve_links": "maybe"}),
    ("attr", {"file": "links.h5", "path": "/broken", "resolve_links": "maybe"}),
    ("attr", {"file": "types.h5", "path": "/attributes", "attr_keys": "nope"}),
    ("data", {"file": "types.h5", "path": "/numbers/u1", "format": "foo"}),
    ("data", {"file": "types.h5", "path": "/numbers/u1", "format": "JSON"}),
    ("data", {"file": "types.h5", "path": "/numbers/u1_scalar", "format": "foo"}),
    ("data", {"file": "types.h5", "path": "/texts/fixed", "format": "foo"}),
    ("data", {"file": "types.h5", "path": "/numbers/u1", "dtype": "foo"}),
    ("data", {"file": "types.h5", "path": "/texts/fixed", "dtype": "foo", "format": "csv"}),
    ("data", {"file": "types.h5", "path": "/numbers/u1", "flatten": "yes"}),
    ("data", {"file": "types.h5", "path": "/numbers/u1", "flatten": "off"}),
    ("data", {"file": "types.h5", "path": "/numbers/u1", "selection": "0", "dtype": "foo", "format": "bar"}),
    ("meta", {"file": "types.h5", "sessionId": "abc", "datafileId": "7", "path": "/texts"}),
    ("meta", {"file": "notes.txt"}),
)  # fmt: skip


@pytest.mark.parametrize(("endpoint", "fields"), ODD, ids=str)
def test_odd_requests_are_answered_as_by_h5grove(pair: Pair, endpoint: str, fields: Fields) -> None:
    compared = Comparison(pair)
    compared.check(endpoint, **fields)
    assert compared.wrong == [], "\n".join(compared.wrong)


def test_of_repeated_fields_the_last_counts_and_keys_of_attributes_add_up(pair: Pair) -> None:
    for query in (
        "/data?file=types.h5&path=/texts&path=/numbers/u1&selection=0&selection=1",
        "/attr?file=types.h5&path=/attributes&attr_keys=zeta&attr_keys=int&attr_keys=alpha",
    ):
        theirs, ours = ask(pair.theirs.url + query), ask(f"{pair.ours}/h5grove{query}")
        assert theirs.status == ours.status == 200
        assert same(theirs, ours)
