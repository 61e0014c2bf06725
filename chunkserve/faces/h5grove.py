"""The HTTP interface of h5grove 4, which H5Web speaks: ``/h5grove/meta``, ``attr``, ``data``, ``stats``, ``paths``.

What is asked stands in the query: ``file``, ``path``, and more by endpoint; what is not known is ignored. Where h5grove
fails without a word, the answer here is 422 with a message. Behind a file's name may stand at which level its datasets
are shown: ``file=run.h5;level=3``.
"""

import functools
import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import numpy as np

from chunkserve.cache.recent import Recent
from chunkserve.datatypes import numpy_dtype
from chunkserve.errors import BadRequest, NoPermission, NotFound, TooLarge, TryAgain
from chunkserve.faces.paths import parse_path
from chunkserve.faces.respond import Reply, Request, Responder, failure
from chunkserve.metadata import h5grove as words
from chunkserve.metadata.h5grove_values import dumps, ready
from chunkserve.model import Broken, Dataset, Group, NamedType
from chunkserve.render.table import csv, npy_head, tiff
from chunkserve.selection import Selection, bounding, parse
from chunkserve.service.blob import Piece, blob_of
from chunkserve.service.closure import Closure
from chunkserve.service.coarse import Coarse, Depth, Shown
from chunkserve.service.entities import Entities, Entity
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.pyramids import Wish
from chunkserve.service.selected import BLOCK_BYTES, Selected, SelectedBytes, source_of_values
from chunkserve.service.store import Answer, Store
from chunkserve.service.summary import summarise
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

FILES = 1024
"""Files remembered by name, per worker."""

MANY = 64
"""Members of a group that are described without going into a thread."""

TEXT_BYTES = 64 * 2**20
"""Elements, decoded, that one answer in JSON or CSV may hold."""

PICTURE_BYTES = 256 * 2**20
"""The same for TIFF."""

MOST_PATHS = 10**6
"""Paths in one answer."""

MOST_FIELDS = 1000
"""Fields of a query that are looked at."""

MEDIA = {
    "json": "application/json",
    "bin": "application/octet-stream",
    "npy": "application/octet-stream",
    "csv": "text/csv",
    "tiff": "image/tiff",
}

_VIEW = re.compile(r"(.*?)((?:;(?:level|axes|method|v)=[^;/]*)+)\Z", re.DOTALL)
_LEVEL = re.compile(r"[0-9]{1,3}\Z")
_MEMBER = re.compile(r"\s*[+-]?[0-9]+\s*\Z|[\s0-9+-]*:[\s0-9+-]*(:[\s0-9+-]*)?\Z")
_RESOLVE = {"true": "all", "all": "all", "false": "none", "none": "none", "only_valid": "only_valid"}
_TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "n", "no", "off"})


class Missing(NotFound):
    """Nothing is there, said as h5grove says it."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message


class Query(NamedTuple):
    """What a request asks for."""

    endpoint: str
    file: str
    depth: Depth
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


@dataclass(frozen=True)
class Body:
    """A body that was made.

    Attributes:
        pieces: It, in order.
        media: Its media type.
        name: Under which browsers save it, if they should.
    """

    pieces: tuple[Piece, ...]
    media: str = MEDIA["json"]
    name: str = ""


class H5groveFace:
    """Everything below ``/h5grove``."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve the files of ``store``."""
        self.store = store
        self.respond = respond
        self.entities = Entities(store.nodes)
        self.coarse = Coarse(self.entities, store.pyramids)
        self._query = functools.lru_cache(4096)(parse_query)
        self._files: Recent[Closure] = Recent(FILES)
        self._make: dict[str, Callable[[Query, HdfFile, bool], Body]] = {
            "meta": self._meta,
            "attr": self._attr,
            "data": self._data,
            "stats": self._stats,
            "paths": self._paths,
        }

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        parts = parse_path(request.path).parts
        if not parts:
            return self.respond.text(request, b"ok", "text/plain")
        if len(parts) > 1 or parts[0] not in self._make:
            raise Missing(f"there is no /{'/'.join(parts)}, but /{', /'.join(self._make)}")
        query = self._query(parts[0], request.query)
        closure, file = self._file(query, wait=wait)
        if query.pin:
            self.store.check_pin(file, query.pin, wait=wait)
        if closure is None:
            return self._fleeting(request, self._make[query.endpoint](query, file, wait))
        tag = digest("h5grove-1", closure.version, self.store.settings.sentinel, query)
        pinned = bool(query.pin)
        unchanged = self.respond.unchanged(request, tag, pinned=pinned)
        if unchanged is not None:
            return unchanged
        body = self._kept(query, tag, file, wait=wait)
        answer = Answer(blob_of(*body.pieces), tag, closure.version, json=_is_json(body), media=body.media)
        return _named(self.respond.answer(request, answer, wait=wait, pinned=pinned), body)

    def error(self, request: Request, error: Exception) -> Reply:
        """An error as h5grove's clients expect it."""
        status, message = failure(request, error)
        if isinstance(error, Missing):
            message = error.message
        elif isinstance(error, NoPermission):
            status, message = 403, "Cannot read file: Permission denied!"
        elif isinstance(error, BadRequest):
            status = 422
        elif isinstance(error, TryAgain):
            message = f"{message} (try again in a moment)"
        return self.respond.complaint(request, error, status, json.dumps({"message": message}).encode())

    def _kept(self, query: Query, tag: str, file: HdfFile, *, wait: bool) -> Body:
        """A body, from memory or made now."""
        known = self.store.memory.get(tag)
        if known is not None:
            return Body((known,))
        body = self._make[query.endpoint](query, file, wait)
        if _is_json(body):
            data = body.pieces[0]
            assert isinstance(data, bytes)
            self.store.memory.put(tag, data, len(data))
        return body

    def _fleeting(self, request: Request, body: Body) -> Reply:
        """A reply about a file that is being written, or that draws from very many."""
        if all(isinstance(piece, bytes) for piece in body.pieces):
            hashed = hashlib.blake2b(digest_size=10)
            for piece in body.pieces:
                assert isinstance(piece, bytes)
                hashed.update(piece)
            answer = Answer(blob_of(*body.pieces), hashed.hexdigest(), json=_is_json(body), media=body.media)
            return _named(self.respond.answer(request, answer, wait=True), body)
        return _named(self.respond.unkept(request, blob_of(*body.pieces), body.media.encode()), body)

    # ------------------------------------------------------------------ places

    def _file(self, query: Query, *, wait: bool) -> tuple[Closure | None, HdfFile]:
        """The file, and all that it draws from (``None`` if that is being written)."""
        known = self._files.get(query.file)
        if known is not None and known.is_current(self.store.files):
            return known, known.files[0]
        if not wait:
            raise WouldBlock
        try:
            file, rest = self.store.files.find(query.place)
        except NoPermission:
            raise
        except NotFound:
            raise Missing("File not found!") from None
        if rest:
            raise Missing("File not found!")
        found = self.store.closure(file, wait=True)
        if found is not None:
            self._files.put(query.file, found)
        return found, file

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
            return Entity(found.name, found.link, None, found.file, -1, found.chain, found.files)
        return found

    def _dataset(self, query: Query, file: HdfFile) -> tuple[Entity, Shown]:
        found = self._entity(query, file, wait=True)
        if not isinstance(found.found, Dataset):
            raise BadRequest(f"{_printable(query.path)} is not a dataset")
        return found, self.coarse.show(found, query.depth)

    # --------------------------------------------------------------- documents

    def _meta(self, query: Query, file: HdfFile, wait: bool) -> Body:
        found = self._resolved(query, file, wait=wait)
        name = _printable(query.path).rsplit("/", 1)[-1]
        if not isinstance(found.found, Group):
            return _body(self._document(name, found, query.depth, wait=wait))
        if not wait and (len(found.found.links) > MANY or any(k.kind == "external" for k in found.found.links)):
            raise WouldBlock
        children = [
            self._document(words.text(member.name), member, query.depth, wait=wait)
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
        if query.depth.level and "default_slice" in values and isinstance(found, Group):
            if not wait:
                raise WouldBlock
            values["default_slice"] = self.coarse.default_slice(entity, query.depth) or values["default_slice"]
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
        source = shown.source
        if shown.dataset.shape is None or source.objects or source.dtype.kind not in "biuf":
            raise BadRequest(f"{source.path} has no statistics: it does not hold real numbers")
        selected = self._selected(query, entity, shown, self.store.settings.max_slice, "what statistics are of")
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
        limit = _LIMITS.get(query.format, self.store.settings.max_slice)
        selected = self._selected(query, entity, shown, limit, "the selection")
        if selected.source.type.cls == "vlen" and not selected.shape:
            selected = _one_sequence(selected)
        dtype = _asked_dtype(query, selected)
        _check_format(query, selected)
        if query.format in ("bin", "npy"):
            return _binary(query, selected, dtype)
        values = selected.all()
        if not selected.source.objects:
            values = values.astype(dtype, copy=False)
        return _ENCODERS[query.format](_flat(query, values), selected)

    def _selected(self, query: Query, entity: Entity, shown: Shown, limit: int, what: str) -> Selected:
        """The elements that are asked for.

        Raises:
            BadRequest: The selection cannot be had.
            TooLarge: They are too many for one answer.
        """
        selection = _selection(query.selection, shown.source.shape)
        selected = Selected(shown.source, selection)
        if selected.nbytes > limit:
            setting = "max_slice" if limit == self.store.settings.max_slice else ""
            raise TooLarge(what, selected.nbytes, limit, setting, self._advice(query, entity, limit))
        if selection.size:
            shown.require(bounding(selection.indices))
        return selected

    def _advice(self, query: Query, entity: Entity, limit: int) -> str:
        level = self.coarse.fitting_level(entity, limit)
        if level > query.depth.level:
            return f"select less of it, or open the file as {query.file};level={level}"
        return "select less of it"


# ---------------------------------------------------------------------- queries


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
    name, depth, pin = _parse_file(given["file"])
    return Query(
        endpoint=endpoint,
        file=name,
        depth=depth,
        pin=pin,
        path=given.get("path", "/"),
        keys=tuple(v for k, v in pairs if k == "attr_keys") or None if endpoint == "attr" else None,
        resolve=resolve if endpoint in ("meta", "paths") else "only_valid",
        format=given.get("format", "json") if endpoint == "data" else "json",
        dtype=given.get("dtype", "origin") if endpoint == "data" else "origin",
        flatten=endpoint == "data" and _flag(given.get("flatten", "false")),
        selection=given.get("selection") if endpoint in ("data", "stats") else None,
    )


def _parse_file(text: str) -> tuple[str, Depth, str]:
    """A file's name, and behind it ``;level=3;axes=yx;method=max;v=...``."""
    match = _VIEW.match(text)
    if match is None:
        return text, Depth(), ""
    view = dict(word.split("=", 1) for word in match[2][1:].split(";"))
    level = view.get("level", "0")
    if not _LEVEL.match(level):
        raise BadRequest(f"level={level} is not the number of a level")
    return match[1], Depth(int(level), Wish(view.get("axes", ""), view.get("method", ""))), view.get("v", "")


def _flag(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise BadRequest(f"flatten={text} is neither true nor false")
    return text.lower() in _TRUE


def _selection(text: str | None, shape: tuple[int, ...]) -> Selection:
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


# ---------------------------------------------------------------------- bodies


def _body(document: object) -> Body:
    try:
        return Body((dumps(document),))
    except UnicodeDecodeError as error:
        raise BadRequest(f"a text is not UTF-8: {error}") from None


def _json(values: np.ndarray, selected: Selected) -> Body:
    path = selected.source.path
    try:
        return Body((dumps(ready(values, selected.source.type)),))
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"{path} holds text that is not UTF-8: {error}; ask for format=bin if it is of fixed length"
        ) from None
    except TypeError as error:
        raise BadRequest(f"{path} cannot be written in JSON: {error}; ask for format=bin") from None


def _csv(values: np.ndarray, selected: Selected) -> Body:
    if values.ndim > 2:
        raise BadRequest(f"CSV has rows and columns, {selected.source.path} {values.ndim} dimensions; select less")
    return Body((csv(values),), MEDIA["csv"], "data.csv")


def _tiff(values: np.ndarray, selected: Selected) -> Body:
    try:
        return Body((tiff(values),), MEDIA["tiff"], "data.tiff")
    except (ValueError, TypeError, KeyError) as error:
        raise BadRequest(f"{selected.source.path} cannot be written as TIFF: {error}; ask for format=npy") from None


_ENCODERS: dict[str, Callable[[np.ndarray, Selected], Body]] = {"json": _json, "csv": _csv, "tiff": _tiff}
_LIMITS = {"json": TEXT_BYTES, "csv": TEXT_BYTES, "tiff": PICTURE_BYTES}


def _binary(query: Query, selected: Selected, dtype: np.dtype[Any]) -> Body:
    """Bytes in C order: small ones made now, others while they are sent."""
    data: Piece
    if selected.nbytes <= BLOCK_BYTES:
        data = selected.all().astype(dtype, copy=False).tobytes()
    else:
        data = SelectedBytes(selected, dtype)
    if query.format == "bin":
        return Body((data,), MEDIA["bin"])
    shape = selected.shape
    if query.flatten and shape:
        shape = (selected.nbytes // selected.source.dtype.itemsize,)
    return Body((npy_head(dtype, shape), data), MEDIA["npy"], "data.npy")


def _one_sequence(selected: Selected) -> Selected:
    """The only sequence that is selected, as an array, if it has numbers."""
    source, t = selected.source, selected.source.type.inner
    if t.cls not in ("integer", "float"):
        return selected
    values = np.array(selected.all()[()], numpy_dtype(t))
    return Selected(source_of_values(source, t, values), parse("", values.shape))


def _flat(query: Query, values: np.ndarray) -> np.ndarray:
    return values.reshape(-1) if query.flatten and values.ndim else values


def _of_nothing(query: Query, shown: Shown) -> Body:
    """Of a null dataspace: nothing, which JSON alone can say."""
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
        if selected.source.objects:
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
    return not selected.source.objects and selected.source.dtype.kind in "biufcm"


# --------------------------------------------------------------------- helpers


def _is_json(body: Body) -> bool:
    return body.media == MEDIA["json"]


def _named(reply: Reply, body: Body) -> Reply:
    """Tell browsers a name to save the body under."""
    if body.name and reply.status in (200, 206):
        reply.head.append((b"content-disposition", f'attachment; filename="{body.name}"'.encode()))
    return reply


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
