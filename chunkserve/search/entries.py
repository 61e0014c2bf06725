"""What of a file is found by a search: its groups, datasets and links, with their classes and short texts."""

import math
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from chunkserve.metadata.messages import text
from chunkserve.metadata.typename import type_name
from chunkserve.metadata.values import attribute_json
from chunkserve.model import Attribute, Dataset, Group
from chunkserve.search.words import words_of
from chunkserve.service.structure import Structure

NX_CLASS = b"NX_class"

VALUE = ""
"""The label of a dataset's own value among its texts."""

MOST_ITEMS = 16
"""Elements of an attribute that is searched."""

MOST_TEXT = 300
"""Characters of one text that are searched, and ..."""

MOST_TEXTS = 4000
"""... of all texts of an entry."""

_PLAIN = frozenset({"string", "integer", "float", "enum"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to be found.

    Attributes:
        kind: ``file``, ``group``, ``dataset`` or ``link``.
        path: In the file, beginning with a slash.
        name: The words it is found by.
        nx_class: Of a NeXus group.
        texts: Values of attributes as (name, text), and of a short text dataset as (:data:`VALUE`, text).
        shape: Of a dataset.
        dtype: Of a dataset.
        number: Identifies the object in its file, -1 for a file or link.
        outside: Whether its values lie in other files.
    """

    kind: str
    path: str
    name: str
    nx_class: str = ""
    texts: tuple[tuple[str, str], ...] = ()
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    number: int = -1
    outside: bool = False


def file_entry(name: str) -> Entry:
    """A file, by its name."""
    return Entry("file", "/", words_of(name))


def entries_of(structure: Structure, most: int) -> Iterator[Entry]:
    """Entries of a file, breadth first, each object once. Looks at what is known and reads nothing.

    Args:
        structure: Of the file.
        most: Entries after which it ends.
    """
    seen = {structure.root}
    queue = deque([(structure.root, "")])
    while queue and most > 0:
        number, path = queue.popleft()
        found = structure.get_known(number)
        if path or number != structure.root:
            yield _object(found, path, number)
            most -= 1
        elif isinstance(found, Group) and found.attributes:
            yield replace(_object(found, "/", number), name="")  # the root has no name, but attributes
            most -= 1
        for link in found.links if isinstance(found, Group) else ():
            below = f"{path}/{text(link.name)}"
            if link.kind != "hard" and most > 0:
                yield Entry("link", below, words_of(text(link.name)))
                most -= 1
            elif link.kind == "hard" and link.target not in seen:
                seen.add(link.target)
                queue.append((link.target, below))


def _object(found: object, path: str, number: int) -> Entry:
    name = words_of(path.rpartition("/")[2])
    if isinstance(found, Dataset):
        texts = tuple(_texts(found.attributes))
        outside = found.layout in ("virtual", "external")
        return Entry("dataset", path, name, _class(found), texts, found.shape, type_name(found.type), number, outside)
    if isinstance(found, Group):
        return Entry("group", path, name, _class(found), tuple(_texts(found.attributes)), number=number)
    return Entry("other", path, name, number=number)


def _class(found: Group | Dataset) -> str:
    marks = (attribute for attribute in found.attributes if attribute.name == NX_CLASS)
    return next((shown for attribute in marks for shown in _shown(attribute)), "")


def _texts(attributes: tuple[Attribute, ...]) -> Iterator[tuple[str, str]]:
    left = MOST_TEXTS
    for attribute in attributes:
        if attribute.name == NX_CLASS:
            continue
        shown = " ".join(_shown(attribute))[:MOST_TEXT]
        if shown and left > 0:
            left -= len(shown)
            yield text(attribute.name), shown


def _shown(attribute: Attribute) -> list[str]:
    """The elements of an attribute as text, if they are few and plain."""
    t = attribute.type
    if t.cls not in _PLAIN or attribute.omitted or attribute.shape is None or math.prod(attribute.shape) > MOST_ITEMS:
        return []
    value = attribute_json(attribute)
    items = value if isinstance(value, list) else [value]
    return [one_line(str(item)) for item in items if isinstance(item, str | int | float)]


def one_line(value: str) -> str:
    """A text without line breaks, which separate texts in the index, and without NUL, at which SQLite ends it."""
    return unicodedata.normalize("NFC", " ".join(value.replace("\0", " ").split()))


def is_short_text(found: object) -> bool:
    """Whether a dataset is a single text that lies in the file, such as a NeXus title."""
    return (
        isinstance(found, Dataset)
        and found.type.cls == "string"
        and found.shape in ((), (1,))
        and found.layout in ("contiguous", "compact")
        and (found.type.variable or found.type.size <= MOST_TEXTS)
    )


def with_value(entry: Entry, dataset: Dataset, data: bytes | list[object]) -> Entry:
    """An entry of a short text dataset with its value."""
    shown = " ".join(_shown(Attribute(b"", dataset.type, dataset.shape, data)))[:MOST_TEXT]
    return replace(entry, texts=((VALUE, shown), *entry.texts)) if shown else entry
