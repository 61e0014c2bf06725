"""All settings, as one table: name, default, unit, help. The only reader of the environment.

Precedence: command-line flags, then ``CHUNKSERVE_NAME`` variables, then the TOML file, then the defaults.
"""

import dataclasses
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chunkserve.errors import BadRequest

PREFIX = "CHUNKSERVE_"

_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*(|[kKMGT]i?)B?\Z")
_POWER = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def size(text: str) -> int:
    """Bytes: ``1048576``, ``512KiB``, ``1.5 GiB``. Decimal and binary prefixes both mean powers of 1024.

    Raises:
        ValueError: It is not a size.
    """
    match = _SIZE.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512MiB")
    return int(float(match[1]) * 1024 ** _POWER[match[2].upper().rstrip("I")])


def size_text(value: int) -> str:
    """Bytes as :func:`size` reads them, with the largest prefix that divides them."""
    for prefix in "TGMK":
        unit = 1024 ** _POWER[prefix]
        if value and value % unit == 0:
            return f"{value // unit}{prefix}iB"
    return str(value)


def words(text: str) -> tuple[str, ...]:
    """A comma-separated list."""
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def flag(text: str) -> bool:
    """A yes or no.

    Raises:
        ValueError: It is neither.
    """
    if text.strip().lower() in ("1", "true", "yes", "on"):
        return True
    if text.strip().lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{text!r} is neither yes nor no")


def count(least: int, most: int = 2**31) -> Callable[[str], int]:
    """Whole numbers within bounds."""

    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError(f"{value} is not between {least} and {most}")
        return value

    return parse


def seconds(text: str) -> float:
    """A time.

    Raises:
        ValueError: It is no number, or no time.
    """
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text} is not a time in seconds")
    return value


def choice(*words: str) -> Callable[[str], str]:
    """One of some words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"{text!r} is none of {', '.join(words)}")
        return text.lower()

    return parse


level = choice("debug", "info", "warning", "error")


def setting(default: Any, unit: str, text: str, parse: Callable[[str], Any] | None = None) -> Any:
    """One row of the table."""
    return field(default=default, metadata={"unit": unit, "help": text, "parse": parse or type(default)})


@dataclass(frozen=True)
class Settings:
    """The settings of one process, read once and passed in. Sizes are bytes, times are seconds."""

    host: str = setting("127.0.0.1", "address", "address to listen on; 0.0.0.0 for all")
    port: int = setting(8000, "port", "TCP port to listen on; 0 picks a free one", count(0, 65535))
    unix_socket: str = setting("", "path", "Unix socket to listen on, for its owner alone, in place of host and port")
    workers: int = setting(0, "processes", "worker processes; 0 means one per core", count(0, 1024))
    public_url: str = setting("", "URL", "how clients reach this server, where it cannot tell (behind a proxy)")
    roots: tuple[str, ...] = setting((), "list", "what to serve, if no PATH is given: PATH or NAME=PATH", words)
    link_roots: tuple[str, ...] = setting(
        (),
        "list",
        "further folders that symbolic links, external links and virtual datasets may reach",
        words,
    )
    path_map: tuple[str, ...] = setting(
        (), "list", "OLD=NEW: prefixes recorded at acquisition time, and where those files lie now", words
    )
    access: str = setting("", "file", "TOML file whose [access] says who may see what; that of --config, if it has one")

    cache_dir: str = setting("", "folder", "cache folder; empty means ~/.cache/chunkserve (XDG_CACHE_HOME)")
    cache_memory: int = setting(256 * 2**20, "bytes", "memory for computed chunks and documents, per worker", size)
    cache_disk: int = setting(10 * 2**30, "bytes", "disk for structures, chunk indices and computed chunks", size)
    levels_disk: int = setting(20 * 2**30, "bytes", "disk for computed levels of pyramids", size)
    open_files: int = setting(512, "files", "files kept open, per worker", count(1))

    readers: int = setting(2, "processes", "processes reading HDF5 structure at once, per worker", count(1, 1024))
    reader_memory: int = setting(2**30, "bytes", "memory one of them may use", size)
    reader_deadline: float = setting(60.0, "seconds", "time one task of theirs may take", seconds)
    scan_objects: int = setting(
        200_000, "objects", "objects described by one look at a file; the rest follows on demand", count(1)
    )
    scan_seconds: float = setting(
        20.0, "seconds", "time one look at a file may take; the rest follows on demand", seconds
    )
    max_attribute: int = setting(2**20, "bytes", "larger attributes are left out", size)
    consolidate: int = setting(
        50_000, "nodes", "groups with more nodes below them have no consolidated metadata", count(0)
    )

    threads: int = setting(8, "threads", "threads for disk reads and decoding, per worker", count(1, 1024))
    merge_below: int = setting(16 * 2**10, "bytes", "smaller chunks are decoded and joined", size)
    shard_below: int = setting(128 * 2**10, "bytes", "smaller chunks are presented as shards (Zarr v3)", size)
    target_chunk: int = setting(2**20, "bytes", "size of joined chunks, shards and ranges of contiguous data", size)
    max_chunk: int = setting(512 * 2**20, "bytes", "larger chunks are not decoded or re-headed", size)
    max_source_bytes: int = setting(
        256 * 2**20, "bytes", "source that one request may read for a level; more is read in the background", size
    )
    max_slice: int = setting(2**30, "bytes", "elements that one answer to /slice or /h5grove may hold, decoded", size)
    max_reduce_bytes: int = setting(
        16 * 2**30, "bytes", "chunks that may be read for one answer to /reduce, decoded", size
    )
    wait: float = setting(20.0, "seconds", "how long a request waits for a level made in the background", seconds)
    builders: int = setting(1, "threads", "threads that make levels in the background, per worker", count(1, 64))
    sentinel: str = setting(
        "auto",
        "choice",
        "whether all ones of unsigned data mark dead pixels: on, off or auto",
        choice("on", "off", "auto"),
    )
    settle: float = setting(2.0, "seconds", "a file modified less long ago is taken to be still growing", seconds)

    search: bool = setting(True, "yes or no", "keep an index of all files, for /api/search", flag)
    search_dir: str = setting("", "folder", "where the index is, on a local disk; empty means in the cache folder")
    search_interval: float = setting(600.0, "seconds", "pause between two looks at all folders", seconds)
    search_files: int = setting(1_000_000, "files", "files in the index", count(1))
    search_objects: int = setting(10_000, "objects", "groups and datasets of a file in the index", count(0))
    search_seconds: float = setting(20.0, "seconds", "time one look into a file may take for the index", seconds)
    search_disk: int = setting(4 * 2**30, "bytes", "size of the index", size)
    search_offline: tuple[str, ...] = setting(
        (), "list", "names of files on tape, *.tape for example: the index never opens them", words
    )

    cache_control: str = setting("no-cache", "header", "Cache-Control of answers; clients revalidate by ETag")
    pinned_cache_control: str = setting(
        "public, max-age=31536000, immutable",
        "header",
        "Cache-Control of answers under a pinned version (;v=)",
    )
    cors: tuple[str, ...] = setting(("*",), "list", "origins whose pages may read answers; empty for none", words)
    frame_ancestors: tuple[str, ...] = setting(
        ("*",), "list", "origins whose pages may embed /embed; empty for none", words
    )
    geometry: str = setting("", "file", "TOML file with further places of beam centres, distances, wavelengths")
    log_level: str = setting("info", "level", "debug, info, warning or error", level)

    def cache_folder(self) -> str:
        """The cache folder to use."""
        if self.cache_dir:
            return self.cache_dir
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        return os.path.join(base, "chunkserve")

    def state_folder(self) -> str:
        """Where what must not be lost is kept."""
        base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
        return os.path.join(base, "chunkserve")

    def worker_count(self) -> int:
        """Worker processes to run."""
        return self.workers or len(os.sched_getaffinity(0))


def load(flags: Mapping[str, object], config: str | None = None) -> Settings:
    """Settings from flags (those that are not ``None``), environment, and a TOML file.

    Raises:
        BadRequest: A value cannot be read, or the file has a setting that does not exist.
    """
    values: dict[str, object] = {}
    table = {row.name: row for row in dataclasses.fields(Settings)}
    if config is not None:
        values |= _from_toml(config, table)
    for name, row in table.items():
        text = os.environ.get(PREFIX + name.upper())
        if text is not None:
            values[name] = _parse(row, text, f"environment variable {PREFIX}{name.upper()}")
    for name, value in flags.items():
        if value is not None:
            values[name] = (
                _parse(table[name], value, f"--{name.replace('_', '-')}") if isinstance(value, str) else value
            )
    return Settings(**values)  # type: ignore[arg-type]  # parsed by each row's own rule


def _from_toml(path: str, table: Mapping[str, "dataclasses.Field[Any]"]) -> dict[str, object]:
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path}: {error}") from None
    values: dict[str, object] = {}
    for name, value in document.items():
        if name not in table:
            raise BadRequest(f"{path}: no setting is called {name!r} (see 'chunkserve settings')")
        values[name] = _from_value(table[name], value, f"{path}: {name}")
    return values


def _from_value(row: "dataclasses.Field[Any]", value: object, where: str) -> object:
    if isinstance(value, list) and isinstance(row.default, tuple):
        return tuple(str(item) for item in value)
    if isinstance(value, dict) and row.name == "roots":  # [roots] name = "path"
        return tuple(f"{name}={path}" for name, path in value.items())
    if isinstance(value, dict) and row.name == "path_map":
        return tuple(f"{old}={new}" for old, new in value.items())
    if isinstance(value, dict) and row.name == "access":  # read, and read again, by those who decide
        return os.path.abspath(where.removesuffix(": access"))
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        if type(value) is type(row.default):
            return value
        raise BadRequest(f"{where}: {value!r} is not of the right kind")
    return _parse(row, str(value), where)


def _parse(row: "dataclasses.Field[Any]", text: str, where: str) -> object:
    try:
        return row.metadata["parse"](text)
    except ValueError as error:
        raise BadRequest(f"{where}: {error}") from None


def clean_environment() -> dict[str, str]:
    """This process's environment without what redirects libhdf5, and with numpy kept to one thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HDF5")}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
