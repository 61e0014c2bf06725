"""Results: a table on the console, and in a folder ``NAME.json`` and ``NAME.md``."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.common.machine import machine, sentence

NOTHING = "–"  # noqa: RUF001 - a dash
"""In a cell without a value."""


@dataclass
class Table:
    """A table of text; the first column is to the left, the others to the right."""

    title: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)

    def markdown(self) -> str:
        """As Markdown, under a heading."""
        lines = [self.columns, ["---", *("---:" for _ in self.columns[1:])], *self.rows]
        return f"## {self.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def show(self, console: Console) -> None:
        """On the console."""
        console.print(f"\n{self.title}", markup=False)
        table = RichTable()
        for i, column in enumerate(self.columns):
            table.add_column(column, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)


@dataclass
class Report:
    """What a benchmark found.

    Attributes:
        name: Of the files.
        title: Of the page.
        about: What was measured, for readers.
        tables: In order.
        facts: For JSON.
        notes: What was left out and why, and what to know about the numbers.
    """

    name: str
    title: str
    about: str
    tables: list[Table] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def write(self, folder: Path, cores: int) -> list[Path]:
        """Write both files; their paths."""
        found = machine(cores)
        data, page = folder / f"{self.name}.json", folder / f"{self.name}.md"
        data.write_text(json.dumps({"machine": found, **self.facts, "notes": self.notes}, indent=1) + "\n")
        parts = [f"# {self.title}\n", f"{self.about}\n", f"{sentence(found)}\n"]
        parts += [table.markdown() for table in self.tables]
        if self.notes:
            parts.append("## Notes\n\n" + "".join(f"- {note}\n" for note in self.notes))
        page.write_text("\n".join(parts))
        return [data, page]


def finish(report: Report, console: Console, folder: Path | None, cores: int) -> None:
    """Show a report, and write it if there is a folder."""
    for table in report.tables:
        table.show(console)
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    for path in report.write(folder, cores) if folder is not None else ():
        console.print(f"wrote {path}", markup=False)


def number(value: float | None, digits: int = 3) -> str:
    """A number with about this many significant digits, thousands apart."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    places = max(0, digits - len(str(int(abs(value)))))
    return f"{value:,.{places}f}"


def mebibytes(value: float | None) -> str:
    """Bytes as MiB, or KiB if they are few."""
    if value is None:
        return NOTHING
    return f"{number(value / 2**20)} MiB" if value >= 2**20 else f"{number(value / 2**10)} KiB"


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return NOTHING
    return f"{number(value)} s" if value >= 1 else f"{number(value * 1000)} ms"


def median(values: Iterable[float]) -> float | None:
    """The median, ``None`` of nothing."""
    found = sorted(values)
    half = len(found) // 2
    if not found:
        return None
    return found[half] if len(found) % 2 else (found[half - 1] + found[half]) / 2
