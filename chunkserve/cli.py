"""The command line: ``serve``, ``demo``, ``inspect``, ``warm``, ``index``, ``cache``, ``keys``, ``settings``."""

import argparse
import dataclasses
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import TypeAlias

from rich.console import Console
from rich.filesize import decimal
from rich.logging import RichHandler
from rich.table import Table
from rich.tree import Tree

from chunkserve import __version__, cli_keys
from chunkserve.access.rulefile import RuleFile
from chunkserve.allocator import reuse_large_blocks
from chunkserve.cache.disk import DiskCache
from chunkserve.cache.levels import LevelCache
from chunkserve.errors import ChunkserveError
from chunkserve.hdf5.demo_client import demo_steps
from chunkserve.inspection import Report, inspect
from chunkserve.progress import bars, throughput
from chunkserve.search.finder import Finder
from chunkserve.search.indexer import build
from chunkserve.search.schema import DONE, FAILED, OFFLINE, OTHER, PENDING, indexes, path_of, remove
from chunkserve.service.pyramids import Wish
from chunkserve.service.store import Store, open_roots
from chunkserve.settings import PREFIX, Settings, load, size_text
from chunkserve.warming import jobs, served_as, warm

DESCRIPTION = "Serve HDF5, NeXus and netCDF-4 files, where they lie, as Zarr."

EPILOG = """examples:
  chunkserve serve /data/run42.nxs                one file
  chunkserve serve /data --port 8080              a folder
  chunkserve serve raw=/data/raw lab=/mnt/lab     several, each under its name
  chunkserve demo                                 make sample data and serve them
  chunkserve inspect run42.nxs                    what is in a file, and how each dataset is served
  chunkserve warm run42.nxs entry/data/data       make its pyramid before anybody asks
  chunkserve index /data                          make the search index ahead
  chunkserve cache stats                          what is in the cache folder
  chunkserve keys create anna --groups p42        an API key for a user (see docs/access.md)
  chunkserve settings                             all settings, with their present values

Every setting is a flag of 'serve', a variable CHUNKSERVE_NAME and a line 'name = value' of the --config file, in this
order of precedence."""

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name

STATES_SHOWN = {
    DONE: "looked into",
    PENDING: "to be looked into",
    OFFLINE: "offline, not opened",
    FAILED: "that cannot be read",
    OTHER: "that are no HDF5 by their name",
}
"""States of files in the index, in words."""

PIPED_WIDTH = 400
"""Columns of output that does not go to a terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    try:
        return int(options.run(options, console))
    except (ChunkserveError, FileNotFoundError) as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {error}", soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "chunkserve",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"chunkserve {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    _add_serving(commands)
    _add_preparing(commands)
    _add_keeping(commands)
    return parser


def _add_serving(commands: _Commands) -> None:
    """Commands that serve or look."""
    command = commands.add_parser("serve", help="serve files and folders", description="Serve files and folders.")
    command.add_argument("paths", nargs="*", metavar="PATH", help="a file, a folder, or NAME=PATH")
    _add_settings(command)
    command.set_defaults(run=_serve)

    command = commands.add_parser(
        "demo",
        help="make sample data and serve them",
        description="Make sample data once (50 MB: a tomography stack, detector frames, a netCDF file, an XRF map, "
        "a compound table, a virtual dataset) and serve them.",
    )
    command.add_argument("--folder", help="where to keep the sample data (default: in the cache folder)")
    command.add_argument("--make-only", action="store_true", help="make the data, do not serve them")
    _add_settings(command)
    command.set_defaults(run=_demo)

    command = commands.add_parser(
        "inspect",
        help="show what is in a file, and how each dataset is served",
        description="Show the tree of a file: for each dataset its shape, type, layout, chunks, filters, compression "
        "ratio, and the verdict: as stored, re-headed, byte ranges, sharded, virtual, or decoded (and why).",
    )
    command.add_argument("file", metavar="FILE", help="an HDF5, NeXus or netCDF-4 file")
    command.add_argument("path", nargs="?", default="", metavar="PATH", help="a group or dataset in it")
    command.add_argument("--json", action="store_true", help="as JSON")
    _add_settings(command)
    command.set_defaults(run=_inspect)


def _add_preparing(commands: _Commands) -> None:
    """Commands that do ahead what requests would wait for."""
    command = commands.add_parser(
        "warm",
        help="compute pyramids ahead of the first request",
        description="Compute all levels of datasets into the cache folder, so that the first viewer finds them there. "
        "Interrupted, it goes on where it was when it is started again. Levels belong to the name under which a file "
        "is served: name with --roots what 'serve' is given, unless that is the folder that FILE is in.",
    )
    command.add_argument("file", metavar="FILE", help="an HDF5, NeXus or netCDF-4 file")
    command.add_argument("datasets", nargs="*", metavar="DATASET", help="paths in it (default: all with levels)")
    command.add_argument(
        "--levels", type=int, default=0, metavar="N", help="how many, from the finest on (default: all)"
    )
    command.add_argument("--method", default="", help="mean, max, min, mode or stride (default: mean, mode of labels)")
    command.add_argument("--axes", default="", help="axes to halve, by name or number: yx or 0,1 (default: see docs)")
    command.add_argument("--jobs", type=int, default=0, metavar="N", help="blocks made at a time (default: cores)")
    _add_settings(command)
    command.set_defaults(run=_warm)

    command = commands.add_parser(
        "index",
        help="make the search index ahead, or show it",
        description="Look at all folders and into all files that are new or changed, so that /api/search finds them. "
        "Name what 'serve' is given: the index belongs to these folders. Interrupted, it goes on where it was.",
    )
    command.add_argument("paths", nargs="*", metavar="PATH", help="a file, a folder, or NAME=PATH")
    command.add_argument("--status", action="store_true", help="show what is in the index, and change nothing")
    _add_settings(command)
    command.set_defaults(run=_index)


def _add_keeping(commands: _Commands) -> None:
    """Commands about what is kept: caches, keys, settings."""
    command = commands.add_parser(
        "cache",
        help="look at the cache folder, empty or check it",
        description="stats: what is in the cache folder. clear: remove it all. verify: read everything, remove what is "
        "damaged.",
    )
    command.add_argument("what", choices=("stats", "clear", "verify"))
    _add_settings(command)
    command.set_defaults(run=_cache)

    command = commands.add_parser(
        "keys",
        help="make, list and revoke API keys and share links",
        description="create: a key that speaks in a user's name. share: a token for files or folders, good for whoever "
        "has it. list: all keys. revoke: end keys, or links by their token. All of it works with the database that "
        "the [access] section of the --config file names.",
    )
    cli_keys.add_arguments(command)
    _add_settings(command)
    command.set_defaults(run=_keys)

    command = commands.add_parser(
        "settings",
        help="show all settings",
        description="Show all settings: present value, default, unit and meaning.",
    )
    _add_settings(command)
    command.set_defaults(run=_settings)


def _add_settings(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("settings")
    group.add_argument("--config", metavar="FILE", help="TOML file with settings")
    for row in dataclasses.fields(Settings):
        shown = _shown(row, row.default) or "none"
        text = f"{row.metadata['help']} [{shown}]".replace("%", "%%")
        group.add_argument(f"--{row.name.replace('_', '-')}", metavar=row.metadata["unit"].upper(), help=text)


def _load(options: argparse.Namespace) -> Settings:
    flags = {row.name: getattr(options, row.name) for row in dataclasses.fields(Settings)}
    settings = load(flags, options.config)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False, rich_tracebacks=False)],
    )
    return settings


def _serve(options: argparse.Namespace, console: Console) -> int:
    settings = _load(options)
    paths = tuple(options.paths) or settings.roots
    if not paths:
        raise FileNotFoundError("nothing to serve: give a PATH, or set roots in the --config file")
    return _run(settings, paths, console)


def _run(settings: Settings, paths: tuple[str, ...], console: Console) -> int:
    from chunkserve.server import open_sockets, serve  # noqa: PLC0415 - the other commands need no server

    rules = RuleFile(settings.access).current if settings.access else None
    roots = open_roots(settings, paths)
    try:
        sockets = open_sockets(settings)
    except OSError as error:
        where = settings.unix_socket or f"{settings.host}:{settings.port}"
        advice = "another --unix-socket" if settings.unix_socket else "another --port"
        raise FileNotFoundError(f"cannot listen on {where}: {error.strerror}; try {advice}") from None
    if settings.unix_socket:
        console.print(f"[bold]chunkserve {__version__}[/] with {len(sockets)} workers at {settings.unix_socket}")
        return serve(settings, paths, sockets)
    port = sockets[0].getsockname()[1]
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(settings.host, settings.host)  # noqa: S104
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    console.print(f"[bold]chunkserve {__version__}[/] with {len(sockets)} workers at [bold cyan]{base}[/]")
    for root in roots.roots:
        if root.listed:
            where = os.fsdecode(os.path.join(root.path, root.only))
            console.print(f"  {base}/zarr/{root.name + '/' if root.name else ''}  [dim]{where}[/]", soft_wrap=True)
    example = _example(settings, paths)
    if example:
        console.print("\nTry:", style="bold")
        console.print(f'  xarray.open_zarr("{base}/zarr/{example}")', soft_wrap=True)
        console.print(f'  zarr.open("{base}/zarr/{example}", mode="r")', soft_wrap=True)
        console.print(f"  curl {base}/zarr/{example}/zarr.json", soft_wrap=True)
    if rules is not None:
        count, rest = len(rules.rules.rules), rules.options.default
        console.print(f"\nAccess: {count} rules of {settings.access}; what they do not name is {rest}", soft_wrap=True)
    elif settings.host in ("127.0.0.1", "localhost", "::1"):
        console.print("\nAccess: open, no rules are configured: everybody on this machine may read these files")
    else:
        console.print(
            "\n[yellow]Access: open, no rules are configured, and listening beyond this machine: everybody who reaches "
            "it may read these files.[/]",
            soft_wrap=True,
        )
    console.print("\n[dim]Ctrl-C stops.[/]")
    return serve(settings, paths, sockets)


def _example(settings: Settings, paths: tuple[str, ...]) -> str:
    """The URL path of some file that is served, for the banner."""
    store = Store(settings, open_roots(settings, paths))
    path: tuple[str, ...] = ()
    for _ in range(4):
        try:
            found = store.listing(path)
        except ChunkserveError:
            return ""
        files = [name for name in found.others if name.lower().endswith((".h5", ".nxs", ".nc", ".hdf5", ".hdf"))]
        if files:
            return "/".join((*path, files[0]))
        if not found.folders:
            return ""
        path = (*path, found.folders[0])
    return ""


def _demo(options: argparse.Namespace, console: Console) -> int:
    settings = _load(options)
    folder = options.folder or os.path.join(settings.cache_folder(), "demo")
    with bars(console) as progress:
        task = progress.add_task("making sample data", total=None)
        for name, done, total in demo_steps(folder):
            progress.update(task, description=f"making {name}", completed=done, total=total)
    console.print(f"sample data in {folder}", soft_wrap=True)
    return 0 if options.make_only else _run(settings, (folder,), console)


def _inspect(options: argparse.Namespace, console: Console) -> int:
    settings = _load(options)
    if not os.path.isfile(options.file):
        raise FileNotFoundError(f"{options.file}: no such file")
    folder, name = os.path.split(os.path.realpath(options.file))
    store = Store(settings, open_roots(settings, (folder,)))
    path = (name, *(part for part in options.path.split("/") if part))
    try:
        with bars(Console(stderr=True)) as progress:
            task = progress.add_task("reading", total=None)
            report = inspect(store, path, lambda: progress.advance(task))
    finally:
        store.close()
    if options.json:
        sys.stdout.write(json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n")
    else:
        console.print(_tree(report), soft_wrap=True)
    return 0


def _warm(options: argparse.Namespace, console: Console) -> int:
    settings = _load(options)
    if not os.path.isfile(options.file):
        raise FileNotFoundError(f"{options.file}: no such file")
    roots = settings.roots or (os.path.dirname(os.path.realpath(options.file)),)
    reuse_large_blocks()
    store = Store(settings, open_roots(settings, roots))
    try:
        file = served_as(roots, options.file)
        with throughput(console) as progress:
            for job in jobs(store, file, tuple(options.datasets), Wish(options.axes, options.method)):
                task = progress.add_task(_plain(job.path), total=job.pyramid.source_bytes)
                warm(job, lambda n, task=task: progress.advance(task, n), options.jobs, options.levels)  # type: ignore[misc]
                progress.update(task, completed=job.pyramid.source_bytes)
    finally:
        store.close()
    return 0


def _index(options: argparse.Namespace, console: Console) -> int:
    settings = _load(options)
    paths = tuple(options.paths) or settings.roots
    if not paths:
        raise FileNotFoundError("nothing to index: give a PATH, or set roots in the --config file")
    if not options.status:
        with bars(Console(stderr=True)) as progress:
            tasks = {"names": progress.add_task("folders", total=None), "contents": progress.add_task("files", total=0)}
            build(
                settings,
                paths,
                lambda what, done, total: progress.update(tasks[what], completed=done, total=total or None),
            )
    roots = open_roots(settings, paths)
    finder = Finder(path_of(settings, roots))
    roots.close()
    found = finder.figures()
    finder.close()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for state, meaning in STATES_SHOWN.items():
        table.add_row(f"files {meaning}", f"{int(found[state]):,}")
    table.add_row("things to be found", f"{int(found['entries']):,}")
    table.add_row("size", decimal(int(found["bytes"])))
    updated = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["updated"])) if found["updated"] else "never"
    table.add_row("all folders looked at", updated)
    console.print(f"index: {finder.path}", soft_wrap=True)
    console.print(table)
    return 0


def _cache(options: argparse.Namespace, console: Console) -> int:
    settings = _load(options)
    folder = settings.cache_folder()
    entries, levels = DiskCache(folder, settings.cache_disk), LevelCache(folder, settings.levels_disk)
    if options.what == "clear":
        freed = entries.clear() + sum(part.size for part in levels.parts())
        levels.clear()
        freed += sum(remove(path) for path in indexes(settings))
        console.print(f"removed {decimal(freed)} from {folder}", soft_wrap=True)
        return 0
    if options.what == "verify":
        found = [*entries.verify(), *levels.verify()]
        bad = [path for path, sound in found if not sound]
        for path in bad:
            console.print(f"[red]damaged, removed:[/] {path}", soft_wrap=True)
        console.print(f"{len(found)} entries, {len(bad)} damaged")
        return 1 if bad else 0
    table = Table(box=None, pad_edge=False)
    for column in ("what", "entries", "size", "limit"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for kind, (count, used) in sorted(entries.totals().items()):
        table.add_row(kind, f"{count:,}", decimal(used), "")
    table.add_row("[bold]all of these[/]", "", "", size_text(settings.cache_disk))
    parts = list(levels.parts())
    table.add_row("levels", f"{len(parts):,}", decimal(sum(p.size for p in parts)), size_text(settings.levels_disk))
    searched = [os.path.getsize(path) for path in indexes(settings)]
    table.add_row("search", f"{len(searched):,}", decimal(sum(searched)), size_text(settings.search_disk))
    console.print(f"cache folder: {folder}", soft_wrap=True)
    console.print(table)
    return 0


def _tree(report: Report, parent: Tree | None = None) -> Tree:
    label = _label(report)
    branch = Tree(label) if parent is None else parent.add(label)
    for note in report.notes:
        branch.add(f"[yellow]{_plain(note)}[/]")
    for member in report.members:
        _tree(member, branch)
    return branch


def _label(report: Report) -> str:
    name = _plain(report.name)
    if report.kind != "dataset":
        return f"[bold]{name}[/]" if report.kind == "group" else f"[magenta]{name}[/]"
    f = report.facts
    shape = "x".join(map(str, f["shape"])) if isinstance(f["shape"], list) and f["shape"] else "scalar"
    parts = [f"[cyan]{name}[/]", "empty" if f["shape"] is None else shape, _plain(str(f["dtype"]))]
    if isinstance(f["chunks"], list):
        parts.append("chunks " + "x".join(map(str, f["chunks"])))
    if f["filters"]:
        parts.append(str(f["filters"]) + (f" {f['ratio']}:1" if f["ratio"] else ""))
    if f["layout"] not in ("chunked", "contiguous"):
        parts.append(str(f["layout"]))
    return "  ".join(parts) + f"  [green]{_plain(str(f['verdict']))}[/]"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _keys(options: argparse.Namespace, console: Console) -> int:
    return cli_keys.run(options, _load(options), console)


def _settings(options: argparse.Namespace, console: Console) -> int:
    settings = _load(options)
    table = Table(box=None, pad_edge=False)
    for column in ("setting", "value", "default", "unit", "meaning"):
        table.add_column(column, overflow="fold")
    for row in dataclasses.fields(Settings):
        value, default = getattr(settings, row.name), row.default
        changed = "bold" if value != default else ""
        table.add_row(
            row.name, f"[{changed}]{_plain(_shown(row, value))}[/]" if changed else _plain(_shown(row, value)),
            _plain(_shown(row, default)), row.metadata["unit"], _plain(row.metadata["help"]),
        )  # fmt: skip
    console.print(table)
    console.print(f"\nvariables: {PREFIX}NAME   cache folder: {settings.cache_folder()}", soft_wrap=True)
    return 0


def _shown(row: "dataclasses.Field[object]", value: object) -> str:
    """A setting's value as one would write it."""
    if isinstance(value, tuple):
        return ",".join(value)
    if row.metadata["unit"] == "bytes" and isinstance(value, int):
        return size_text(value)
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
