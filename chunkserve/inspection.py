"""What is in a file and how each dataset is served: the tree behind ``chunkserve inspect``."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from chunkserve.codecs.filters import describe
from chunkserve.errors import ChunkserveError
from chunkserve.metadata.typename import type_name
from chunkserve.metadata.values import Json
from chunkserve.model import Dataset, Group
from chunkserve.service.nodes import Node, is_hidden, named_links
from chunkserve.service.store import Store
from chunkserve.service.zarrarray import ZarrArray


@dataclass
class Report:
    """One node of the tree.

    Attributes:
        name: Node name; the file's for the root.
        kind: ``group``, ``dataset`` or ``link``.
        facts: Of a dataset: shape, dtype, layout, chunks, filters, ratio, verdict.
        notes: What is hidden, left out or broken, and why.
        members: Below a group.
    """

    name: str
    kind: str
    facts: dict[str, Json] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    members: list["Report"] = field(default_factory=list)

    def as_json(self) -> dict[str, Json]:
        """The report as JSON."""
        document: dict[str, Json] = {"name": self.name, "kind": self.kind, **self.facts}
        if self.notes:
            document["notes"] = list(self.notes)
        if self.kind == "group":
            document["members"] = [member.as_json() for member in self.members]
        return document


def inspect(store: Store, path: tuple[str, ...], progress: Callable[[], None]) -> Report:
    """Describe a file, or a node in it, and everything below.

    Args:
        store: Where to look.
        path: Components, the file's first.
        progress: Called once per dataset.
    """
    return _node(store, path[-1], store.node(path), progress)


def _node(store: Store, name: str, node: Node, progress: Callable[[], None]) -> Report:
    if isinstance(node.object, Dataset):
        progress()
        return _dataset(store, name, node)
    report = Report(name, "group", notes=list(node.object.notes) + _left_out(node.object.attributes))
    spelled = dict(named_links(node.object))
    for member, link in spelled.items():
        if link.kind == "external":
            target = f"{link.file.decode('utf-8', 'replace')}:{link.path.decode('utf-8', 'replace')}"
            report.members.append(
                Report(member, "link", notes=[f"external link to {target}{_reach(store, node, member)}"])
            )
            continue
        try:
            child = store.nodes.child(node, member)
        except ChunkserveError as error:
            report.members.append(
                Report(member, "link", notes=[f"{link.kind} link: {error}{_broken(node, link.target)}"])
            )
            continue
        report.members.append(_node(store, member, child, progress))
    unspelled = len(node.object.links) - len(spelled)
    if unspelled:
        report.notes.append(f"{unspelled} members have names that cannot be reached")
    return report


def _reach(store: Store, node: Node, member: str) -> str:
    try:
        store.nodes.child(node, member)
    except ChunkserveError:
        return " (not reachable: missing, or outside the served folders; see --link-roots and --path-map)"
    return ""


def _broken(node: Node, number: int) -> str:
    found = node.file.structure().get_known(number)
    return f" ({found.reason})" if found is not None and hasattr(found, "reason") else ""


def _left_out(attributes: tuple[object, ...]) -> list[str]:
    found = []
    for attribute in attributes:
        omitted = getattr(attribute, "omitted", "")
        if omitted and omitted != "bookkeeping of libhdf5":
            name = getattr(attribute, "name", b"").decode("utf-8", "backslashreplace")
            found.append(f"attribute {name} is left out: {omitted}")
    return found


def _dataset(store: Store, name: str, node: Node) -> Report:
    dataset = node.object
    assert isinstance(dataset, Dataset)
    report = Report(name, "dataset", notes=list(dataset.notes) + _left_out(dataset.attributes))
    report.facts = {
        "shape": list(dataset.shape) if dataset.shape is not None else None,
        "dtype": type_name(dataset.type),
        "layout": dataset.layout,
        "chunks": list(dataset.chunks) or None,
        "filters": describe(dataset.filters) or None,
        "ratio": _ratio(node, dataset),
    }
    if is_hidden(node):
        report.notes.append("carries only the length of a dimension: reachable, not listed")
    if node.is_group:
        report.facts["verdict"] = "one array per field"
        return report
    try:
        array = ZarrArray(node, 3, store.context)
    except ChunkserveError as error:
        report.facts["verdict"] = "not served"
        report.notes.append(str(error).split(": ", 1)[-1])
        return report
    report.facts["verdict"] = array.presentation.verdict
    if array.presentation.shape[: len(dataset.shape or ())] != (dataset.shape or ()):
        report.notes.append(f"shown with shape {array.presentation.shape}")
    return report


def _ratio(node: Node, dataset: Dataset) -> float | None:
    """Decoded bytes per stored byte, of what is stored."""
    if dataset.layout != "chunked" or not dataset.filters or not dataset.shape:
        return None
    try:
        count, stored = node.file.index(node.number, dataset).stored()
    except ChunkserveError:
        return None
    return round(count * math.prod(dataset.chunks) * dataset.type.size / stored, 2) if stored else None


def count_datasets(group: Group, below: Callable[[int], object]) -> int:
    """Datasets that hard links lead to from a group, for a progress bar."""
    seen: set[int] = set()
    queue: list[object] = [group]
    total = 0
    while queue:
        here = queue.pop()
        total += isinstance(here, Dataset)
        for link in here.links if isinstance(here, Group) else ():
            if link.kind == "hard" and link.target not in seen:
                seen.add(link.target)
                queue.append(below(link.target))
    return total
