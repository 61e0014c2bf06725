"""Answers in the words of h5grove 4: documents of entities, values, statistics, paths.

:mod:`chunkserve.metadata.h5grove` has the words, :mod:`chunkserve.faces.h5grove` the way over HTTP.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chunkserve.datatypes import numpy_dtype
from chunkserve.errors import BadRequest, NotFound, TooLarge
from chunkserve.metadata import h5grove as words
from chunkserve.metadata.h5grove_query import Query, parse_selection
from chunkserve.metadata.h5grove_values import dumps, elements_csv, elements_json
from chunkserve.model import Broken, Dataset, Group, NamedType
from chunkserve.render.npy import npy_header
from chunkserve.render.tiff import tiff
from chunkserve.selection import parse
from chunkserve.service.blob import Piece
from chunkserve.service.coarse import Coarse, Depth, Shown
from chunkserve.service.entities import Entities, Entity
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import Nodes
from chunkserve.service.pyramids import Pyramids, Wish
from chunkserve.service.selected import ROW_BYTES, Selected, SelectedBytes, converted
from chunkserve.service.source import ArraySource, is_objects
from chunkserve.service.summary import summarise
from chunkserve.sources.localfile import WouldBlock

MANY = 64
"""Members of a group that are described without going into a thread."""

TEXT_BYTES = 64 * 2**20
"""Elements, decoded, that one answer in JSON or CSV may hold."""

PICTURE_BYTES = 256 * 2**20
"""The same for TIFF."""

MOST_PATHS = 10**6
"""Paths in one answer."""

JSON, BYTES, CSV, TIFF = "application/json", "application/octet-stream", "text/csv", "image/tiff"
"""Media types."""


class Missing(NotFound):
    """Nothing is there, said as h5grove says it."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message


@dataclass(frozen=True)
class Body:
    """A body that was made.

    Attributes:
        pieces: It, in order.
        media: Its media type.
        name: Under which browsers save it, if they should.
    """

    pieces: tuple[Piece, ...]
    media: str = JSON
    name: str = ""


class H5grove:
    """Makes bodies. With ``wait`` false, from what is in memory or by raising ``WouldBlock``."""

    def __init__(self, nodes: Nodes, pyramids: Pyramids, limit: int) -> None:
        """Answer about the files of ``nodes``; at most ``limit`` bytes of elements at once."""
        self.entities = Entities(nodes)
        self.coarse = Coarse(self.entities, pyramids)
        self.limit = limit
        self.endpoints: dict[str, Callable[[Query, HdfFile, bool], Body]] = {
            "meta": self._meta,
            "attr": self._attr,
            "data": self._data,
            "stats": self._stats,
            "paths": self._paths,
        }

    def make(self, query: Query, file: HdfFile, *, wait: bool) -> Body:
        """A body.

        Raises:
            WouldBlock: Not ``wait``, and something is not in memory.
            Missing: Nothing is there.
            BadRequest: It is not what can be asked for that.
            TooLarge: It does not fit one answer; says what does.
            ChunkserveError: As it says.
        """
        return self.endpoints[query.endpoint](query, file, wait)

    def _entity(self, query: Query, file: HdfFile, *, wait: bool) -> Entity:
        """What the path leads to.

        Raises:
            Missing: Nothing.
            BadRequest: It cannot be read.
            WouldBlock: Not ``wait``, and the way to it is not in memory.
        """
        name = file.name.rsplit("/", 1)[-1]
        if not wait:
            _at_hand(file)
        path = query.path.encode("utf-8", "surrogateescape")
        try:
            found = self.entities.find(file, path)
        except NotFound:
            raise Missing(f"{_printable(query.path)} is not a valid path in {name}") from None
        if isinstance(found.found, Broken):
            raise BadRequest(f"{_printable(query.path)} of {name} cannot be read: {found.found.reason}")
        if not wait:
            _at_hand(found.file)
        return found

    def _resolved(self, query: Query, file: HdfFile, *, wait: bool) -> Entity:
        """What the path leads to, links resolved as the query wishes."""
        found = self._entity(query, file, wait=wait)
        if found.found is None and found.link is not None and query.resolve == "all" and found.link.kind != "other":
            link = words.described_link(found.link)
            raise Missing(f"Cannot resolve {link} at {_printable(query.path)} of {file.name.rsplit('/', 1)[-1]}")
        if query.resolve == "none" and found.link is not None and found.link.kind != "hard":
            return replace(found, found=None, number=-1)
        return found

    def _dataset(self, query: Query, file: HdfFile) -> tuple[Entity, Shown]:
        found = self._entity(query, file, wait=True)
        if not isinstance(found.found, Dataset):
            raise BadRequest(f"{_printable(query.path)} is not a dataset")
        return found, self.coarse.show(found, _depth(query))

    # --------------------------------------------------------------- documents

    def _meta(self, query: Query, file: HdfFile, wait: bool) -> Body:
        found = self._resolved(query, file, wait=wait)
        name = _printable(query.path).rsplit("/", 1)[-1]
        if not isinstance(found.found, Group):
            return _body(self._document(name, found, _depth(query), wait=wait))
        if not wait and (len(found.found.links) > MANY or any(k.kind == "external" for k in found.found.links)):
            raise WouldBlock
        children = [
            self._document(words.text(member.name), member, _depth(query), wait=wait)
            for member in self.entities.members(found)
        ]
        return _body(words.group_document(name, found.found, children))

    def _document(self, name: str, entity: Entity, depth: Depth, *, wait: bool) -> words.Document:
        """What is said of an entity; of a group without its members."""
        match entity.found:
            case Group() as group:
                return words.group_document(name, group, None)
            case NamedType() as named:
                return words.named_type_document(name, named)
            case Dataset() as dataset if not depth.level and _is_settled(entity, dataset):
                return words.dataset_document(name, dataset, dataset.shape)
            case Dataset():
                if not wait:
                    raise WouldBlock
                shown = self.coarse.show(entity, depth).dataset
                return words.dataset_document(name, shown, shown.shape)
            case _:
                return words.link_document(name, entity.link)

    def _attr(self, query: Query, file: HdfFile, wait: bool) -> Body:
        entity = self._entity(query, file, wait=wait)
        found = entity.found
        if found is None or isinstance(found, Broken):
            raise BadRequest(f"{_printable(query.path)} is a link that leads nowhere; it has no attributes")
        values = words.attribute_values(found.attributes)
        if query.level and "default_slice" in values and isinstance(found, Group):
            if not wait:
                raise WouldBlock
            values["default_slice"] = self.coarse.default_slice(entity, _depth(query)) or values["default_slice"]
        if query.keys is not None:
            missing = [key for key in query.keys if key not in values]
            if missing:
                raise BadRequest(_why_missing(found, missing[0], query))
            values = {key: values[key] for key in query.keys}
        return _body(values)

    def _paths(self, query: Query, file: HdfFile, wait: bool) -> Body:
        if not wait:
            raise WouldBlock
        found = self._resolved(query, file, wait=True)
        if not isinstance(found.found, Group):
            raise BadRequest(f"{_printable(query.path)} is not a group")
        base = _printable(query.path)
        prefix = base.rstrip("/")
        paths = [base]
        for names in self.entities.paths(found, MOST_PATHS + 1):
            paths.append(f"{prefix}/{'/'.join(map(words.text, names))}")
            if query.resolve == "all":
                self._resolved(query._replace(path=paths[-1]), file, wait=True)
        if len(paths) > MOST_PATHS:
            raise TooLarge("a list of paths", len(paths), MOST_PATHS, advice="ask for the paths below a group")
        return _body(paths)

    # ------------------------------------------------------------------ values

    def _stats(self, query: Query, file: HdfFile, wait: bool) -> Body:
        if not wait:
            raise WouldBlock
        entity, shown = self._dataset(query, file)
        selected = self._selected(query, entity, shown, self.limit, "what statistics are of")
        source = selected.source
        if shown.dataset.shape is None or is_objects(source) or source.dtype.kind not in "biuf":
            raise BadRequest(f"{source.path} has no statistics: it does not hold real numbers")
        found = summarise(selected.blocks())
        number = float if source.dtype.kind == "f" else int
        document = {
            "strict_positive_min": found.strict_positive_min,
            "positive_min": found.positive_min,
            "min": found.min,
            "max": found.max,
            "mean": None if found.mean is None or not math.isfinite(found.mean) else number(found.mean),
            "std": None if found.std is None or not math.isfinite(found.std) else number(found.std),
        }
        return Body((json.dumps(document, separators=(",", ":")).encode(),))

    def _data(self, query: Query, file: HdfFile, wait: bool) -> Body:
        if not wait:
            raise WouldBlock
        entity, shown = self._dataset(query, file)
        if shown.dataset.shape is None:
            return _of_nothing(query, shown)
        limit = _LIMITS.get(query.format, self.limit)
        selected = self._selected(query, entity, shown, limit, "the selection")
        dtype = _asked_dtype(query, selected)
        _check_format(query, selected)
        if query.format in ("bin", "npy"):
            return _binary(query, selected, dtype)
        values = selected.all()
        if not is_objects(selected.source):
            values = values.astype(dtype, copy=False)
        return _ENCODERS[query.format](_flat(query, values), selected)

    def _selected(self, query: Query, entity: Entity, shown: Shown, limit: int, what: str) -> Selected:
        """The elements that are asked for.

        Raises:
            BadRequest: The selection cannot be had.
            TooLarge: They are too many for one answer.
        """
        selection = parse_selection(query.selection, shown.source.shape)
        selected = Selected(shown.source, selection)
        if selected.nbytes > limit:
            setting = "max_slice" if limit == self.limit else ""
            raise TooLarge(what, selected.nbytes, limit, setting, self._advice(query, entity, limit))
        selected.prepare()
        return _one_sequence(selected) if selected.source.type.cls == "vlen" and not selected.shape else selected

    def _advice(self, query: Query, entity: Entity, limit: int) -> str:
        level = self.coarse.fitting_level(entity, limit)
        if level > query.level:
            return f"select less of it, or open the file as {query.file};level={level}"
        return "select less of it"


# ---------------------------------------------------------------------- bodies


def _body(document: object) -> Body:
    return Body((dumps(document),))


def _json(values: np.ndarray, selected: Selected) -> Body:
    path = selected.source.path
    try:
        return Body((elements_json(values, selected.source.type),))
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"{path} holds text that is not UTF-8: {error}; ask for format=bin if it is of fixed length"
        ) from None
    except TypeError as error:
        raise BadRequest(f"{path} cannot be written in JSON: {error}; ask for format=bin") from None


def _csv(values: np.ndarray, selected: Selected) -> Body:
    if values.ndim > 2:
        raise BadRequest(f"CSV has rows and columns, {selected.source.path} {values.ndim} dimensions; select less")
    return Body((elements_csv(values),), CSV, "data.csv")


def _tiff(values: np.ndarray, selected: Selected) -> Body:
    try:
        return Body((tiff(values),), TIFF, "data.tiff")
    except (ValueError, TypeError, KeyError) as error:
        raise BadRequest(f"{selected.source.path} cannot be written as TIFF: {error}; ask for format=npy") from None


_ENCODERS: dict[str, Callable[[np.ndarray, Selected], Body]] = {"json": _json, "csv": _csv, "tiff": _tiff}
_LIMITS = {"json": TEXT_BYTES, "csv": TEXT_BYTES, "tiff": PICTURE_BYTES}


def _binary(query: Query, selected: Selected, dtype: np.dtype[Any]) -> Body:
    """Bytes in C order: small ones made now, others while they are sent."""
    data: Piece
    if selected.nbytes <= ROW_BYTES:
        data = converted(selected.all(), dtype).tobytes()
    else:
        data = SelectedBytes(selected, dtype)
    if query.format == "bin":
        return Body((data,), BYTES)
    shape = selected.shape
    if query.flatten and shape:
        shape = (selected.nbytes // selected.source.dtype.itemsize,)
    return Body((npy_header(np.lib.format.dtype_to_descr(dtype), shape), data), BYTES, "data.npy")


def _one_sequence(selected: Selected) -> Selected:
    """The only sequence that is selected, as an array, if it has numbers."""
    source, t = selected.source, selected.source.type.inner
    if t.cls not in ("integer", "float"):
        return selected
    values = np.array(selected.all()[()], numpy_dtype(t))
    return Selected(ArraySource(source.path, t, values), parse("", values.shape))


def _flat(query: Query, values: np.ndarray) -> np.ndarray:
    return values.reshape(-1) if query.flatten and values.ndim else values


def _of_nothing(query: Query, shown: Shown) -> Body:
    """Of a null dataspace: nothing, which JSON alone can say."""
    if query.selection is not None:
        raise BadRequest(f"nothing can be selected of {shown.source.path}, which holds nothing")
    if query.dtype == "safe":
        raise BadRequest("Unsupported dtype safe for non-numeric data")
    if query.dtype != "origin":
        raise BadRequest(f"Unsupported dtype {query.dtype}")
    if query.format == "json":
        return _body(None)
    if query.format == "bin":
        raise BadRequest(f"{shown.source.path} holds nothing that could be sent as bytes; ask for format=json")
    raise BadRequest(f"Unsupported encoding {query.format} for non-numeric content")


def _asked_dtype(query: Query, selected: Selected) -> np.dtype[Any]:
    """The dtype of the answer.

    ``safe`` is one that JavaScript has typed arrays for.
    """
    dtype = selected.source.dtype
    if query.dtype == "origin":
        return dtype.newbyteorder("=") if selected.selection.dropped and not selected.shape else dtype
    if query.dtype != "safe":
        raise BadRequest(f"Unsupported dtype {query.dtype}")
    if not _is_numeric(selected):
        raise BadRequest("Unsupported dtype safe for non-numeric data")
    return np.dtype("<f4") if dtype.kind == "f" and dtype.itemsize < 4 else dtype.newbyteorder("<")


def _check_format(query: Query, selected: Selected) -> None:
    if query.format == "json":
        return
    if query.format == "bin":
        if is_objects(selected.source):
            raise BadRequest(f"{selected.source.path} has no bytes of its own to send; ask for format=json")
        return
    if not _is_numeric(selected):
        raise BadRequest(f"Unsupported encoding {query.format} for non-numeric content")
    if query.format == "npy":
        return
    if not selected.shape:
        raise BadRequest(f"Unsupported encoding {query.format} for empty and scalar datasets")
    if query.format not in _ENCODERS:
        raise BadRequest(f"Unsupported encoding {query.format}")


def _is_numeric(selected: Selected) -> bool:
    return not is_objects(selected.source) and selected.source.dtype.kind in "biufcm"


# --------------------------------------------------------------------- helpers


def _printable(path: str) -> str:
    return words.text(path.encode("utf-8", "surrogateescape"))


def _at_hand(file: HdfFile) -> None:
    """Go on only if all of a file's structure is in memory."""
    if not file.structure(wait=False).complete:
        raise WouldBlock


def _is_settled(entity: Entity, dataset: Dataset) -> bool:
    """Whether the header knows a dataset's extent."""
    return not entity.file.live and not (dataset.layout == "virtual" and None in dataset.maxshape)


def _why_missing(found: Group | Dataset | NamedType, key: str, query: Query) -> str:
    kept = next((a for a in found.attributes if words.text(a.name) == key), None)
    if kept is None:
        return f"{_printable(query.path)} has no attribute {_printable(key)}"
    return f"attribute {_printable(key)} of {_printable(query.path)} was left out: {kept.omitted}"


def _depth(query: Query) -> Depth:
    return Depth(query.level, Wish(query.axes, query.method))
