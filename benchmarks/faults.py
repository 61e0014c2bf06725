"""Answers under load while readers are killed, files change and the storage fails: right, failed, wrong (must be 0).

Readers are processes of the server under test, ended by SIGKILL. Files are replaced by rename, rewritten in place by
HDF5, or emptied and filled as ``cp`` does. Reads fail with EIO by a shim in front of the C library (needs gcc).
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.common import ours, procfs
from benchmarks.common.errors import BenchmarkError, Missing
from benchmarks.common.folders import results_folder, scratch
from benchmarks.common.report import Report, Table, finish
from benchmarks.common.storage import build, variables
from benchmarks.common.tally import Asker, Tally
from benchmarks.common.versioned import VERSIONS, Change, by_copying, by_hdf5, by_rename, make_templates
from chunkserve.progress import bars

HELP = "killed readers, changing files and EIO under load: counts of right, failed and wrong answers"
FILES = 3
ONE_IN = 50
"""Of so many reads one fails."""

KILL_EVERY = 0.05
CHANGE_EVERY = (0.05, 0.6)
REST = 3.5
"""Seconds of every fourth pause, long enough for a file to be taken for finished."""

SETTLE = 3.0
SHOWN = 5


@dataclass(frozen=True)
class Scenario:
    """What is done to the server while it is asked.

    Attributes:
        label: For tables.
        change: How files change, if they do.
        kill: Whether readers are killed.
        eio: Whether reads fail.
        flags: Of the server.
        quick: Part of a quick run.
    """

    label: str
    change: Change | None = None
    kill: bool = False
    eio: bool = False
    flags: tuple[str, ...] = ()
    quick: bool = False


SCENARIOS = (
    Scenario("nothing", None),
    Scenario("readers killed, files replaced", by_rename, kill=True, flags=("--settle", "0"), quick=True),
    Scenario("readers killed, files replaced, live", by_rename, kill=True),
    Scenario("files replaced by rename", by_rename, flags=("--settle", "0")),
    Scenario("files replaced by rename, live", by_rename),
    Scenario("files rewritten in place by HDF5", by_hdf5, quick=True),
    Scenario("files emptied and filled again", by_copying),
    Scenario("EIO", None, eio=True, flags=("--cache-memory", "0"), quick=True),
    Scenario("EIO, readers killed, files replaced", by_rename, kill=True, eio=True, quick=True),
)


@dataclass
class Outcome:
    """What came of a scenario; ``after`` is every chunk once more when all is quiet again."""

    label: str
    chunks: Tally
    arrays: Tally
    after: Tally
    kills: int
    changes: int
    faults: int

    @property
    def wrong(self) -> list[str]:
        """Descriptions of wrong answers."""
        return self.chunks.wrong + self.arrays.wrong + self.after.wrong

    def told(self) -> dict[str, Any]:
        """For JSON."""
        tallies = {"chunks": self.chunks, "arrays": self.arrays, "after": self.after}
        counts = {"kills": self.kills, "changes": self.changes, "faults": self.faults}
        return {"label": self.label, **counts, **{name: vars(tally) for name, tally in tallies.items()}}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--seconds", type=float, help="of load per scenario [20; 2 with --quick]")
    parser.add_argument("--clients", type=int, default=4, help="threads that ask [%(default)s]")
    parser.add_argument("--only", metavar="TEXT", default="", help="only scenarios whose name contains this")


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    chosen = [s for s in SCENARIOS if (s.quick or not options.quick or options.only) and options.only in s.label]
    limit = options.seconds or (2.0 if options.quick else 20.0)
    report = Report(
        "faults",
        "Answers while things break",
        f"{options.clients} clients for {limit:g} s each; a chunk is right if it equals that of some version, a whole "
        "array, pinned to a version, if all of it is of one. 'After' is every chunk once more in quiet.",
    )
    outcomes: list[Outcome] = []
    with scratch() as folder, bars(console) as progress:
        (folder / "templates").mkdir()
        templates = make_templates(folder / "templates")
        try:
            shim = build(folder)
        except Missing as reason:
            report.notes.append(f"scenarios with EIO left out: {reason}")
            shim, chosen = None, [s for s in chosen if not s.eio]
        for n, scenario in enumerate(chosen):
            task = progress.add_task(scenario.label, total=None)
            place = folder / str(n)
            place.mkdir()
            outcomes.append(_Run(options, scenario, place, templates, shim).outcome(limit))
            progress.remove_task(task)
    report.tables = [_table(outcomes)]
    report.facts = {"seconds": limit, "clients": options.clients, "scenarios": [o.told() for o in outcomes]}
    for o in outcomes:
        report.notes += [f"wrong: {o.label}: {line}" for line in o.wrong[:SHOWN]]
    finish(report, console, results_folder(options.results, quick=options.quick), options.cores)
    return 1 if any(o.wrong for o in outcomes) else 0


def _table(outcomes: list[Outcome]) -> Table:
    columns = ["while", "kills", "changes", "EIO", "chunks right", "failed", "wrong", "arrays right", "failed", "wrong"]
    table = Table("Answers", [*columns, "after: right", "failed", "wrong"])
    for o in outcomes:
        row = [o.label, *(f"{n:,}" for n in (o.kills, o.changes, o.faults))]
        for tally in (o.chunks, o.arrays, o.after):
            row += [f"{tally.right:,}", tally.reasons() or "0", f"{len(tally.wrong):,}"]
        table.rows.append(row)
    return table


class _Run:
    """One scenario with a server of its own."""

    def __init__(
        self, options: argparse.Namespace, scenario: Scenario, folder: Path, templates: list[Path], shim: Path | None
    ) -> None:
        self.options, self.scenario, self.folder, self.templates = options, scenario, folder, templates
        self.root = folder / "data"
        self.root.mkdir()
        self.switch, self.log = folder / "switch", folder / "faults"
        self.files = [self.root / f"run{n}.h5" for n in range(FILES)]
        for file in self.files:
            shutil.copyfile(templates[0], file)
        self.environment: dict[str, str] = {}
        if scenario.eio and shim is not None:
            self.environment = variables(shim, self.root, self.switch, self.log) | {"FAULTS_ONE_IN": str(ONE_IN)}
        self.stop = threading.Event()
        self.kills = self.changes = 0
        self.failures: list[BaseException] = []

    def outcome(self, limit: float) -> Outcome:
        """Start, disturb, ask, and ask again in quiet."""
        if "--settle" not in self.scenario.flags and self.scenario.change is None:
            time.sleep(SETTLE)
        flags = (*ours.PLAIN, *self.scenario.flags)
        port, process = ours.start(
            self.options.chunkserve, self.root, self.folder, workers=2, flags=flags, environment=self.environment
        )
        try:
            process.wait_for_port(port)
            askers = [Asker(port, [f.name for f in self.files]) for _ in range(self.options.clients)]
            with self._disturbed(process.group):
                self._ask(askers, limit)
            time.sleep(SETTLE)
            last = Asker(port, [f.name for f in self.files])
            last.ask_all()
        finally:
            self.stop.set()
            process.stop()
        if self.failures:
            raise BenchmarkError(f"{self.scenario.label}: {self.failures[0]!r}") from self.failures[0]
        chunks, arrays = Tally(), Tally()
        for asker in askers:
            chunks.add(asker.chunks)
            arrays.add(asker.arrays)
        faults = self.log.stat().st_size if self.log.exists() else 0
        return Outcome(self.scenario.label, chunks, arrays, last.chunks, self.kills, self.changes, faults)

    def _ask(self, askers: list[Asker], limit: float) -> None:
        stop = threading.Event()
        threads = [
            self._thread(asker.ask_until, stop, random.Random(n))  # the clients differ, runs do not
            for n, asker in enumerate(askers)
        ]
        time.sleep(limit)
        stop.set()
        for thread in threads:
            thread.join()

    @contextlib.contextmanager
    def _disturbed(self, group: int) -> Iterator[None]:
        """Readers are killed, files change and reads fail meanwhile, as far as the scenario says."""
        self.switch.touch()
        threads = []
        if self.scenario.kill:
            threads.append(self._thread(self._kill, group))
        if self.scenario.change is not None:
            threads += [
                self._thread(self._change, file, self.scenario.change, random.Random(f"{file.name}"))
                for file in self.files
            ]
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
            self.switch.unlink()

    def _kill(self, group: int) -> None:
        rng = random.Random(3)
        while not self.stop.wait(KILL_EVERY):
            readers = [pid for pid, role in procfs.roles(group).items() if role == "reader"]
            if readers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(readers), signal.SIGKILL)
                    self.kills += 1

    def _change(self, file: Path, change: Change, rng: random.Random) -> None:
        n = 0
        while not self.stop.wait(REST if n % 4 == 3 else rng.uniform(*CHANGE_EVERY)):
            n += 1
            change(file, self.templates[n % VERSIONS], n % VERSIONS)
            self.changes += 1

    def _thread(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - told by the main thread
                self.failures.append(error)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread
