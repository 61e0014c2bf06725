"""Figures of all workers of a server, in memory that they share: each writes its own row, any of them reads all."""

import mmap
from collections.abc import Sequence
from typing import Literal

Across = Literal["grow", "sum", "max"]
"""How figures of several workers become one: counts that ``grow`` are added up, those of workers that are gone too;
what is now is the ``sum`` or ``max`` over those that live."""

WIDTH = 1024
"""Figures in a row, at most; one more says whether its worker lives."""

_DOUBLE = 8


class Board:
    """Rows of float64. Made before workers are forked; a number is written whole or not at all."""

    def __init__(self, rows: int) -> None:
        """Make room for ``rows`` workers at a time."""
        self._cells = memoryview(mmap.mmap(-1, rows * (WIDTH + 1) * _DOUBLE)).cast("d")
        self._rows = range(rows)
        self._free = list(self._rows)

    def take(self) -> int | None:
        """A row that nobody has; ``None`` if there is none."""
        return self._free.pop() if self._free else None

    def give_back(self, number: int) -> None:
        """The worker of a row is gone. Its counts stay: the next one goes on from them."""
        self._cells[number * (WIDTH + 1)] = 0
        self._free.append(number)

    def row(self, number: int) -> "Row":
        """A row, for the worker that has it from now on."""
        return Row(self, number)

    def cells(self, number: int) -> "memoryview[float]":
        """A row's figures, after 1 or 0 for whether its worker lives."""
        start = number * (WIDTH + 1)
        return self._cells[start : start + WIDTH + 1]

    def totals(self, across: Sequence[Across]) -> list[float]:
        """Figures of all workers together, each in its way."""
        rows = [self.cells(number).tolist() for number in self._rows]
        living = [row for row in rows if row[0]]
        found: list[float] = []
        for i, way in enumerate(across, 1):
            values = [row[i] for row in (rows if way == "grow" else living)]
            found.append(max(values, default=0.0) if way == "max" else sum(values))
        return found


class Row:
    """One worker's figures."""

    def __init__(self, board: Board, number: int) -> None:
        """Go on from what the row's last worker counted."""
        self.board = board
        self._cells = board.cells(number)
        self._before = self._cells.tolist()

    def write(self, values: Sequence[float], across: Sequence[Across]) -> None:
        """Tell the others this worker's figures, always the same ones in the same order."""
        for i, (value, way) in enumerate(zip(values, across, strict=True), 1):
            self._cells[i] = value + self._before[i] if way == "grow" else value
        self._cells[0] = 1
