"""Clients that ask for chunks and whole arrays of files that change, and judge every answer.

An answer is right if it is the data of some version. Of a chunk, 404 is wrong: readers would put fill values, and no
version lacks a chunk. What a reader cannot decode fails loudly there, which is a failure, not a wrong answer.
"""

import http.client
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from benchmarks.common import zarrkeys
from benchmarks.common.client import Answer, Client
from benchmarks.common.errors import Wrong
from benchmarks.common.versioned import DATASETS, SHAPE, described, version_of

TIMEOUT = 20.0
WHOLE = 0.2
"""Share of whole arrays among what is asked for."""

PAUSE = 0.005
"""Seconds a client waits after a failure."""

CUT = "cut short"
SILENT = "no answer"
UNDECODABLE = "not decodable"


@dataclass
class Tally:
    """Counts of one kind of request.

    Attributes:
        right: Answers that were the data.
        failed: Answers that were none, by status or what went wrong.
        wrong: Answers that looked good and were not, described.
        samples: What the server said with the first failure of each kind.
    """

    right: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    samples: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Take in another's counts."""
        self.right += other.right
        self.failed += other.failed
        self.wrong += other.wrong
        self.samples = other.samples | self.samples

    def fail(self, failure: "_Failed") -> None:
        """Count a failure."""
        self.failed[failure.kind] += 1
        self.samples.setdefault(failure.kind, failure.detail)

    def reasons(self) -> str:
        """Failures in words."""
        return ", ".join(f"{reason}: {count:,}" for reason, count in sorted(self.failed.items()))


class _Failed(Exception):
    """An answer that is none."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind, self.detail = kind, detail


class Asker:
    """One client."""

    def __init__(self, port: int, files: list[str]) -> None:
        """Ask for what is in ``files``."""
        self.client = Client(port, TIMEOUT)
        self.files = files
        self.chunks, self.arrays = Tally(), Tally()
        self._documents: dict[tuple[str, str], zarrkeys.Document] = {}

    def ask_until(self, stop: threading.Event, rng: random.Random) -> None:
        """Ask at random until told to stop."""
        while not stop.is_set():
            file, dataset = rng.choice(self.files), rng.choice(list(DATASETS))
            good = self.whole(file, dataset) if rng.random() < WHOLE else self.chunk(file, dataset, rng.random())
            if not good:
                time.sleep(PAUSE)

    def ask_all(self) -> None:
        """Ask for each array once, chunk by chunk."""
        for file in self.files:
            for dataset in DATASETS:
                for at in np.linspace(0, 1, SHAPE[0], endpoint=False):
                    self.chunk(file, dataset, float(at))

    def chunk(self, file: str, dataset: str, at: float) -> bool:
        """One chunk, ``at`` a share of the way through an array; whether it was right."""
        try:
            document = self._documents.get((file, dataset))
            if document is None:
                document = self._documents[file, dataset] = self._document(f"/zarr/{file}/{dataset}/")[0]
            positions = _positions(document)
            position = positions[int(at * len(positions))]
            self._region(f"/zarr/{file}/{dataset}/", document, position)
        except _Failed as reason:
            self.chunks.fail(reason)
            self._documents.pop((file, dataset), None)
            return False
        except Wrong as reason:
            self.chunks.wrong.append(f"{file}/{dataset}: {reason}")
            self._documents.pop((file, dataset), None)
            return False
        self.chunks.right += 1
        return True

    def whole(self, file: str, dataset: str) -> bool:
        """A whole array, pinned to the version its metadata tell; whether all of it was that of one version."""
        try:
            self._pinned(file, dataset)
        except _Failed as reason:
            self.arrays.fail(reason)
            return False
        except Wrong as reason:
            self.arrays.wrong.append(f"{file}/{dataset}, whole: {reason}")
            return False
        self.arrays.right += 1
        return True

    def _pinned(self, file: str, dataset: str) -> None:
        """Read an array under the version that its metadata tell."""
        document, version = self._document(f"/zarr/{file}/{dataset}/")
        if not version:
            raise _Failed("no version to pin")
        base = f"/zarr;v={version}/{file}/{dataset}/"
        found = {self._region(base, document, position) for position in _positions(document)}
        if len(found) != 1:
            raise Wrong(f"mixture of versions {sorted(found)} under the pin {version}")

    def _document(self, base: str) -> tuple[zarrkeys.Document, str]:
        answer = self._get(f"{base}zarr.json")
        return json.loads(answer.body), answer.headers.get("x-chunkserve-version", "")

    def _region(self, base: str, document: zarrkeys.Document, position: tuple[int, ...]) -> int:
        """The version of the data that a key gives."""
        path = base + zarrkeys.key(document, position)
        answer = self._get(path)
        try:
            values = zarrkeys.decode(document, position, answer.body)
        except Wrong:
            raise _Failed(UNDECODABLE) from None
        start = tuple(p * n for p, n in zip(position, zarrkeys.chunk_shape(document), strict=True))
        version = version_of(values, start)
        if version is None:
            raise Wrong(f"{path}: {described(values)}")
        return version

    def _get(self, path: str) -> Answer:
        try:
            answer = self.client.get(path)
        except http.client.IncompleteRead:
            raise _Failed(CUT) from None
        except (OSError, http.client.HTTPException):
            raise _Failed(SILENT) from None
        if answer.status == 404 and not path.endswith(".json"):
            raise Wrong(f"{path}: 404, which reads as fill values")
        if answer.status != 200:
            raise _Failed(str(answer.status), f"{path}: {answer.body[:400].decode(errors='replace')}")
        return answer


def _positions(document: zarrkeys.Document) -> list[tuple[int, ...]]:
    shape = zarrkeys.chunk_shape(document)
    return [tuple(map(int, p)) for p in np.ndindex(*(-(-n // c) for n, c in zip(SHAPE, shape, strict=True)))]
