"""Queries as h5grove understands them: of what is given twice the last counts, what is not known is ignored."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl

from chunkserve.errors import BadRequest
from chunkserve.selection import Selection, parse

MOST_FIELDS = 1000
"""Fields of a query that are looked at."""

_VIEW = re.compile(r"(.*?)((?:;(?:level|axes|method|v)=[^;/]*)+)\Z", re.DOTALL)
_LEVEL = re.compile(r"[0-9]{1,3}\Z")
_MEMBER = re.compile(r"\s*[+-]?[0-9]+\s*\Z|[\s0-9+-]*:[\s0-9+-]*(:[\s0-9+-]*)?\Z")
_RESOLVE = {"true": "all", "all": "all", "false": "none", "none": "none", "only_valid": "only_valid"}
_TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "n", "no", "off"})


class Query(NamedTuple):
    """What a request asks for.

    Attributes:
        endpoint: ``meta``, ``attr``, ``data``, ``stats`` or ``paths``.
        file: Its name, without what stands behind it.
        level: At which level its datasets are shown, 0 for themselves.
        axes, method: How levels are made, empty for the default.
        pin: The version that is asked for, if one is.
        path: In the file.
        keys: Attributes that are asked for, ``None`` for all.
        resolve: Which links are resolved: ``all``, ``none`` or ``only_valid``.
        format, dtype, flatten, selection: Of data.
    """

    endpoint: str
    file: str
    level: int
    axes: str
    method: str
    pin: str
    path: str
    keys: tuple[str, ...] | None
    resolve: str
    format: str
    dtype: str
    flatten: bool
    selection: str | None

    @property
    def place(self) -> tuple[str, ...]:
        """Components of the file's name. It never leads upwards."""
        return tuple(part for part in self.file.split("/") if part not in ("", "."))


def parse_query(endpoint: str, raw: bytes) -> Query:
    """Read a query. Of what is given twice, the last counts; what is not known is ignored.

    Raises:
        BadRequest: A value cannot be read, or there is no ``file``.
    """
    try:
        pairs = parse_qsl(
            raw.decode("latin-1"), keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise BadRequest(f"the query cannot be read: {error}") from None
    given = dict(pairs)
    if "file" not in given:
        raise BadRequest("the query names no file: file=run.h5")
    resolve = _RESOLVE.get(given.get("resolve_links", "only_valid").lower(), "")
    if endpoint in ("meta", "paths") and not resolve:
        raise BadRequest(
            f"{given['resolve_links']} is not a valid value for link resolution. Accepted values are: "
            "LinkResolution.ALL, LinkResolution.NONE or LinkResolution.ONLY_VALID"
        )
    name, view = _parse_file(given["file"])
    return Query(
        endpoint=endpoint,
        file=name,
        level=int(view.get("level", "0")),
        axes=view.get("axes", ""),
        method=view.get("method", ""),
        pin=view.get("v", ""),
        path=given.get("path", "/"),
        keys=tuple(v for k, v in pairs if k == "attr_keys") or None if endpoint == "attr" else None,
        resolve=resolve if endpoint in ("meta", "paths") else "only_valid",
        format=given.get("format", "json") if endpoint == "data" else "json",
        dtype=given.get("dtype", "origin") if endpoint == "data" else "origin",
        flatten=endpoint == "data" and _flag(given.get("flatten", "false")),
        selection=given.get("selection") if endpoint in ("data", "stats") else None,
    )


def _parse_file(text: str) -> tuple[str, dict[str, str]]:
    """A file's name, and what stands behind it: ``;level=3;axes=yx;method=max;v=...``."""
    match = _VIEW.match(text)
    if match is None:
        return text, {}
    view = dict(word.split("=", 1) for word in match[2][1:].split(";"))
    if not _LEVEL.match(view.get("level", "0")):
        raise BadRequest(f"level={view['level']} is not the number of a level")
    return match[1], view


def _flag(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise BadRequest(f"flatten={text} is neither true nor false")
    return text.lower() in _TRUE


def parse_selection(text: str | None, shape: tuple[int, ...]) -> Selection:
    """A selection as h5grove spells it: numbers and slices, fewer than there are dimensions if need be.

    Raises:
        BadRequest: It is none, or selects what is not there.
    """
    if text is None:
        return parse("", shape)
    members = text.split(",")
    wrong = next((member for member in members if not _MEMBER.match(member)), None)
    if wrong is not None:
        raise BadRequest(f"{wrong!r} in selection={text[:200]} is neither a number nor start:stop:step")
    if len(members) > len(shape):
        raise BadRequest(f"{text[:200]} has too many members to slice a {len(shape)}D dataset")
    try:
        return parse(text, shape)
    except BadRequest as error:
        raise BadRequest(f"selection={text[:200]}: {error}") from None
