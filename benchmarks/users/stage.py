"""The servers under test: started, prepared, restarted with empty caches, ended."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from rich.progress import Progress, TaskID

from benchmarks.common import ours
from benchmarks.common.client import Client
from benchmarks.common.errors import Missing, NotStarted, Wrong
from benchmarks.common.nginx import NAME as NGINX
from benchmarks.common.nginx import Copies, Nginx
from benchmarks.common.peers import PEERS
from benchmarks.common.series import Series
from benchmarks.common.server import Running, Target
from benchmarks.common.venvs import base_python
from benchmarks.users.data import Facts
from benchmarks.users.dialects import Dialect, OurDialect, StaticDialect, dialect, settled
from benchmarks.users.trace import Chunks, Image, Operation, Reduction, Session, Slice

SERVERS = (ours.NAME, NGINX, *(peer.name for peer in PEERS))
ASKERS = 4
"""Threads that warm up."""

PATIENCE = 4.0
"""Seconds that a peer is warmed up for a workload."""

CHECKED = 2
"""Operations of a kind whose numbers are compared with the file."""


@dataclass
class Stage:
    """Where servers run.

    Attributes:
        options: Of the command line.
        file: What they serve.
        facts: What is in it.
        series: Its series of chunks.
        folder: For a run's scratch files.
        copies: Answers of ours, for nginx; kept.
        progress: Bars.
        notes: What was left out.
        lengths: Of known answers, by server and request.
        mine: Ours with warm caches, up as long as the run lasts; nginx has its answers from there.
    """

    options: argparse.Namespace
    file: Path
    facts: Facts
    series: list[Series]
    folder: Path
    copies: Path
    progress: Progress
    notes: list[str]
    lengths: dict[tuple[str, Target], int] = field(default_factory=dict)
    mine: OurDialect | None = None

    @contextlib.contextmanager
    def serving(self, name: str, variables: dict[str, str] | None = None) -> Iterator[Dialect]:
        """A server by name, with empty caches of its own.

        Raises:
            Missing, NotStarted: It cannot be had here.
        """
        place = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        with self._started(name, place, variables) as server:
            if isinstance(server, Nginx):
                assert self.mine is not None
                stat = self.file.stat()
                yield StaticDialect(server, self.mine, f"{stat.st_size}-{stat.st_mtime_ns}")
            else:
                yield dialect(server, self.facts)

    def _started(self, name: str, place: Path, variables: dict[str, str] | None) -> Running:
        if name == ours.NAME:
            return ours.Chunks(self.options.chunkserve, self.file, place, self.options.workers, variables)
        if name == NGINX:
            assert self.mine is not None
            assert isinstance(self.mine.server, ours.Chunks)
            return Nginx(Copies(self.copies), (self.mine.server, None), place, self.options.workers, variables)
        peer = next(peer for peer in PEERS if peer.name == name)
        python = self.options.peer_python or base_python()
        return peer.start(self.file, self.options.cache, python, place, self.options.workers, variables)

    def all_serving(self, stack: contextlib.ExitStack, names: list[str]) -> dict[str, Dialect]:
        """Those that can be had; a note for each that cannot."""
        found: dict[str, Dialect] = {}
        task = self.progress.add_task("starting servers", total=len(names))
        for name in names:
            self.progress.update(task, description=f"starting {name}")
            try:
                spoken = found[name] = stack.enter_context(self.serving(name))
            except (Missing, NotStarted) as reason:
                self.note(f"{name}: left out: {reason}")
            else:
                if isinstance(spoken, OurDialect):
                    self.mine = spoken
            self.progress.advance(task)
        self.progress.remove_task(task)
        return found

    def note(self, line: str) -> None:
        """Say what was left out, once."""
        if line not in self.notes:
            self.notes.append(line)

    # ----------------------------------------------------------------------- preparing

    def warm(self, spoken: Dialect, targets: list[Target]) -> None:
        """Ask for everything, so that caches are warm and lengths known; other servers, for a few seconds.

        Ours is asked twice: what was drawn first may have made room for the levels that it was drawn from.

        Raises:
            Wrong: There is an answer that is none.
        """
        name = spoken.server.name
        todo = [t for t in targets if (name, t) not in self.lengths]
        task = self.progress.add_task(f"warming up {name}", total=None)
        seconds = float("inf") if name == ours.NAME else PATIENCE
        with ThreadPoolExecutor(ASKERS) as pool:
            asked = [*todo, *todo] if name == ours.NAME else todo
            shares = [asked[n::ASKERS] for n in range(ASKERS)]
            for found in pool.map(lambda share: self._ask(spoken.server, share, seconds, task), shares):
                self.lengths |= {(name, target): length for target, length in found.items()}
        self.progress.remove_task(task)

    def _ask(self, server: Running, share: list[Target], seconds: float, task: TaskID) -> dict[Target, int]:
        found: dict[Target, int] = {}
        until = time.monotonic() + seconds
        with Client(server.port, 120.0, server.headers) as client:
            for target in share:
                if time.monotonic() > until:
                    break
                found[target] = len(settled(client, target.path))
                self.progress.advance(task)
        return found

    def prepare(self, spoken: Dialect, sessions: list[Session]) -> None:
        """Warm up for sessions, and compare some answers with the file.

        Raises:
            Unserved: The server has no such question.
            Wrong: An answer differs.
        """
        operations = list(dict.fromkeys(op for session in sessions for op in session))
        if isinstance(spoken, StaticDialect):
            targets = _distinct(spoken.like, operations)
            task = self.progress.add_task("copying for nginx", total=len(targets))
            spoken.copy(targets, lambda: self.progress.advance(task))
            self.progress.remove_task(task)
            for target in _distinct(spoken, operations):
                self.lengths[NGINX, target] = (self.copies / target.path.lstrip("/")).stat().st_size
        else:
            self.warm(spoken, _distinct(spoken, operations))
            self._check(spoken, operations)

    def _check(self, spoken: Dialect, operations: list[Operation]) -> None:
        left = dict.fromkeys((Chunks, Slice, Image, Reduction), CHECKED)
        with Client(spoken.server.port, 120.0, spoken.server.headers) as client, h5py.File(self.file) as file:
            for op in operations:
                if left.get(type(op), 0):
                    left[type(op)] -= 1
                    got = spoken.numbers(op, [client.body(*target) for target in spoken.targets(op)])
                    if got is not None and not _same(got, _truth(file, self.facts, op)):
                        raise Wrong(f"{spoken.server.name}: {op} has other numbers")


def _distinct(spoken: Dialect, operations: list[Operation]) -> list[Target]:
    return list(dict.fromkeys(target for op in operations for target in spoken.targets(op)))


def _truth(file: h5py.File, facts: Facts, op: Operation) -> np.ndarray:
    if isinstance(op, Chunks):
        chunk = facts.chunk(op.dataset)
        region = tuple(slice(i * n, (i + 1) * n) for i, n in zip(op.positions[0], chunk, strict=True))
        return np.asarray(file[op.dataset][region])
    assert isinstance(op, Slice | Image | Reduction)
    values = file[op.dataset][tuple(slice(*word) for word in op.words)]
    return np.asarray(values.mean(0) if isinstance(op, Reduction) else values)


def _same(got: np.ndarray, want: np.ndarray) -> bool:
    flat = got.reshape(-1)
    return flat.size == want.size and np.allclose(flat, want.reshape(-1), rtol=1e-12, atol=0)
