"""Versions: opaque keys of caches and ETags, the same on every host that sees the same files."""

import hashlib
from collections.abc import Iterable

REVISION = 1
"""Raised when the bytes made from the same file change."""


def digest(*parts: object) -> str:
    """A version from whatever it depends on: 20 hexadecimal digits."""
    text = "\0".join(map(str, (REVISION, *parts)))
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=10).hexdigest()


def file_version(name: str, size: int, mtime_ns: int, settings: str) -> str:
    """The version of a file at rest: its name below the roots, size, modification time, and the settings in play."""
    return digest("file", name, size, mtime_ns, settings)


def combined(versions: Iterable[str]) -> str:
    """One version that covers several."""
    found = sorted(set(versions))
    return found[0] if len(found) == 1 else digest("all", *found)
