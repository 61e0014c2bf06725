"""The command line: one subcommand per benchmark, from the table :data:`BENCHMARKS`.

A benchmark is a module with ``HELP`` (one line), ``add_options(parser)`` and ``run(options, console)``, which returns
the exit status: 0 if everything ran and every answer was right. A time is never a reason to fail.
"""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from rich.console import Console
from zarr.errors import ZarrUserWarning

from benchmarks import capacity, client, faults, h5web, many_arrays, many_chunks, passthrough, pyramid, run, viewer
from benchmarks.common.errors import BenchmarkError
from benchmarks.common.folders import CACHE, RESULTS

BENCHMARKS: dict[str, ModuleType] = {
    "run": run,
    "passthrough": passthrough,
    "many-chunks": many_chunks,
    "many-arrays": many_arrays,
    "faults": faults,
    "pyramid": pyramid,
    "h5web": h5web,
    "client": client,
    "viewer": viewer,
    "capacity": capacity,
}

PIPED_WIDTH = 200
"""Columns of output that does not go to a terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended with us
    warnings.filterwarnings("ignore", category=ZarrUserWarning)  # about codecs that other servers name
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    try:
        return int(options.run(options, console))
    except BenchmarkError as error:
        console.print(f"[bold red]error:[/] {error}", soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=(__package__ and "Benchmarks of chunkserve."))
    commands = parser.add_subparsers(title="benchmarks", required=True, metavar="BENCHMARK")
    for name, module in BENCHMARKS.items():
        command = commands.add_parser(
            name, help=module.HELP, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        _add_shared(command)
        module.add_options(command)
        command.set_defaults(run=module.run)
    return parser


def _add_shared(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("shared by all benchmarks")
    group.add_argument("--cache", type=Path, default=CACHE, help=f"where data and environments are kept [{CACHE}]")
    group.add_argument("--results", type=Path, help=f"where results are written [{RESULTS}; nowhere with --quick]")
    group.add_argument("--quick", action="store_true", help="a short run that checks answers and keeps no results")
    group.add_argument(
        "--chunkserve", nargs="+", metavar="WORD", default=[sys.executable, "-m", "chunkserve"],
        help="the command to measure, without 'serve' [this Python -m chunkserve]",
    )  # fmt: skip
    cores = len(os.sched_getaffinity(0))
    group.add_argument("--cores", type=int, default=cores, help="what 'all cores' means [%(default)s]")
