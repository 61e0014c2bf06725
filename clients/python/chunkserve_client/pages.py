"""How nodes look in notebooks, and trees in terminals."""

import base64
import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chunkserve_client.errors import ClientError
from chunkserve_client.types import HdfType, Message

if TYPE_CHECKING:
    from chunkserve_client.arrays import Array
    from chunkserve_client.nodes import Group
    from chunkserve_client.place import Place

MOST_ROWS = 200
"""Lines of a tree."""

THUMBNAIL = 128

FRAME = "width:100%;height:460px;border:1px solid #8884;border-radius:6px"
"""Of the viewer in a notebook's cell."""


def size_text(nbytes: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if nbytes < 1024 or unit == "TiB":
            break
        nbytes /= 1024
    return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"


def rows(message: Message, indent: str = "") -> Iterator[tuple[str, str, str]]:
    """A tree line by line: the lines in front, a name, what it is."""
    members = list((message.get("members") or {}).items())
    for i, (name, member) in enumerate(members):
        last = i == len(members) - 1
        yield indent + ("└── " if last else "├── "), name, summary(member)
        yield from rows(member, indent + ("    " if last else "│   "))


def summary(member: Message) -> str:
    """One line about a node."""
    match member["kind"]:
        case "group":
            return "" if member.get("members") is not None else "..."
        case "dataset":
            return _dataset(member)
        case "datatype":
            return "datatype"
        case "same":
            return f"same as {member['path']}"
        case "link":
            return f"broken link to {member.get('file') or ''}{member.get('path') or ''}"
        case _:
            return f"unreadable: {member.get('reason')}"


def _dataset(message: Message) -> str:
    shape = message["shape"]
    extent = "null" if shape is None else "x".join(map(str, shape)) or "scalar"
    found = HdfType(message["type"])
    kind = "text" if found.string else str(found.dtype) if found.dtype.names is None else "compound"
    filters = ", ".join(stage["name"] for stage in message.get("filters") or ())
    return "  ".join(filter(None, (extent, kind if kind != "object" else found.kind, filters)))


def tree_text(name: str, message: Message) -> str:
    """A tree for terminals."""
    lines = [name]
    for front, member, what in rows(message):
        if len(lines) >= MOST_ROWS:
            lines.append("...")
            break
        lines.append(f"{front}{member}  {what}".rstrip())
    return "\n".join(lines)


def group_html(group: "Group", message: Message) -> str:
    """A group with its tree."""
    head = f"<b>{html.escape(group.place.file)}</b> {html.escape(group.name)}"
    return _with_viewer(group.place, head, f"<pre>{html.escape(tree_text(group.name, message))}</pre>")


def array_html(array: "Array") -> str:
    """An array with its thumbnail, if it has one."""
    place = array.place
    level = f", level {place.level}" if place.level else ""
    facts: list[tuple[str, Any]] = [
        ("shape", array.shape), ("dtype", array.dtype), ("chunks", array.chunks), ("size", size_text(array.nbytes)),
    ]  # fmt: skip
    cells = "".join(f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>" for name, value in facts)
    head = f"<b>{html.escape(place.file)}</b> /{html.escape(place.path)}{level}"
    table = f"<table><tr><td><table>{cells}</table></td><td>{_picture(array)}</td></tr></table>"
    return _with_viewer(place, head, table) if not place.level else f"<div>{head}{table}</div>"


def _with_viewer(place: "Place", head: str, still: str) -> str:
    """The server's viewer, live; and below it, for where that cannot be reached, what stands still."""
    page = html.escape(place.page())
    frame = f'<iframe src="{page}" title="{html.escape(place.file)}" loading="lazy" style="{FRAME}"></iframe>'
    return f"<div>{frame}<details><summary>{head}</summary>{still}</details></div>"


def _picture(array: "Array") -> str:
    show = getattr(array, "thumbnail", None)
    if show is None or array.ndim < 2 or array.dtype.kind not in "biufc":
        return ""
    try:
        data = show(THUMBNAIL).data
    except ClientError:  # a page without a picture is better than none
        return ""
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
