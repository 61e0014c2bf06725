"""Slices: ``/slice/{file}/{dataset}?sel=0:10,:,::4``, as messages, or as a file for other programs."""

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, quote

import msgspec

from chunkserve.errors import BadRequest, SourceChanged, TooLarge
from chunkserve.faces.paths import UrlPath, parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder, Stream, failure, problem
from chunkserve.grid import Shape
from chunkserve.metadata.exports import MEDIA, WHOLE, npy_header
from chunkserve.selection import Part
from chunkserve.service.blob import blob_of
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.slices import PART_BYTES, TOUCHED_BYTES, Slice, Source, Wanted
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset({"sel", "level", "axes", "method", "field", "format", "download", "v"})

MSGPACK = "application/msgpack"

FORMS = ("msgpack", *MEDIA)
"""What an answer can be."""

MOST_BYTES = {"json": 16 * 2**20, "csv": 16 * 2**20, "tiff": 256 * 2**20}
"""Bytes of elements in forms that are made at once, in memory."""

NUMBER_BYTES = 8
"""What an element weighs at least, spelled out."""

MOST_SELECTIONS = 10_000
"""Selections in one question."""

AHEAD = 3
"""Parts of an answer that are made at a time."""

AT_ONCE = 256 * 2**10
"""Bytes of chunks that are decoded while other requests wait."""

_LEVEL = re.compile(r"[0-9]{1,3}\Z")

_pack = msgspec.msgpack.Encoder().encode

END = _pack({"end": True})


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a POST: several selections of one dataset."""

    selections: list["str | Choice"]


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """One of them."""

    sel: str = ""
    field: str | list[str] = []
    level: int = 0
    axes: str = ""
    method: str = ""

    def wanted(self) -> Wanted:
        """As the service takes it."""
        fields = (self.field,) if isinstance(self.field, str) else tuple(self.field)
        return Wanted(self.sel, fields, self.level, self.axes, self.method)


class _Question(NamedTuple):
    """All that decides about the bytes of an answer."""

    path: tuple[str, ...]
    asked: tuple[Wanted, ...]
    form: str
    pinned: str


class Make(Protocol):
    """Computes some bytes; raises ``WouldBlock`` if it may not ``wait`` and has to."""

    def __call__(self, *, wait: bool) -> bytes:
        """The bytes."""


@dataclass(frozen=True)
class _Step:
    """Something to be computed for an answer, and how many bytes are read and sent for it."""

    make: Make
    touched: int
    nbytes: int


class SliceFace:
    """Slices of datasets and levels."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve the datasets of ``store``."""
        self.store = store
        self.respond = respond
        self._parse = functools.lru_cache(4096)(parse_path)

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = self._parse(request.path)
        parameters = parameters_of(request.query, path.parameters, PARAMETERS)
        form = parameters.get("format", "msgpack")
        if form not in FORMS:
            raise BadRequest(f"format={form} is none of {', '.join(FORMS)}")
        asked = _posted(request, form) if request.method == "POST" else [_asked(request, parameters)]
        question = _Question(path.parts, tuple(asked), form, parameters.get("v", ""))
        slices = [Slice(self._source(path, wanted, wait=wait), wanted.sel) for wanted in asked]
        reply = self._answer(request, question, slices, wait=wait)
        if form != "msgpack" and parameters.get("download", "0") == "1":
            reply.head.append((b"content-disposition", _disposition(path.parts, form)))
        return reply

    def _source(self, path: UrlPath, wanted: Wanted, *, wait: bool) -> Source:
        found = self.store.slices.known(path.parts, wanted)
        if found is None:
            if not wait:
                raise WouldBlock
            found = self.store.slices.source(path.parts, self.store.object(path.parts).node(), wanted)
        return found

    def _answer(self, request: Request, question: "_Question", slices: list[Slice], *, wait: bool) -> Reply:
        """The answer to a question about slices."""
        file, pinned = slices[0].source.files[0], question.pinned
        if pinned:
            self.store.check_pin(file, pinned, wait=wait)
        version = self.store.version(file, wait=wait)
        tag = ""
        if version and request.method != "POST":
            tag = digest("slice-1", version, question, [one.source.tag for one in slices])
        if tag and request.known() == tag:
            return self.respond.answer(request, Answer(blob_of(), tag), wait=wait, pinned=bool(pinned))
        if wait:
            for one in slices:
                one.prepare()
        batches = _batches(self._steps(question.form, slices, version))
        first, second = next(batches), next(batches, None)
        media = MEDIA.get(question.form, MSGPACK)
        if second is not None and not wait:
            raise WouldBlock
        if second is None:
            data = _run(first, wait=wait)
            if not tag:
                return self.respond.fleeting(request, data, media.encode())
            answer = Answer(blob_of(data), tag, version, media=media)
            return self.respond.answer(request, answer, wait=wait, pinned=bool(pinned))
        parts = (functools.partial(_run, batch) for batch in itertools.chain((first, second), batches))
        failed = functools.partial(_failed, request) if question.form == "msgpack" else None
        stream = Stream(parts, AHEAD, failed)
        return self.respond.stream(request, stream, media.encode(), tag, version=version, pinned=bool(pinned))

    def _steps(self, form: str, slices: list[Slice], version: str) -> Iterator[_Step]:
        _check_size(form, slices, self.store.settings.max_slice)
        check = _Step(functools.partial(self._check_version, slices[0].source.files[0], version), 0, 0)
        if form == "msgpack":
            return itertools.chain.from_iterable(_messages(one, version, check) for one in slices)
        if form == "npy":
            return itertools.chain(_npy(slices[0]), (check,))
        return iter([_Step(functools.partial(_file, slices[0], form), 0, 0)])

    def _check_version(self, file: HdfFile, version: str, *, wait: bool) -> bytes:
        """Nothing to send, if all files an answer was drawn from still are what they were when it began."""
        if self.store.version(file, wait=wait) != version:
            raise SourceChanged(f"{file.name} or a file it draws from changed while it was read")
        return b""


def _check_size(form: str, slices: list[Slice], most: int) -> None:
    """Refuse an answer that would be too large, saying what to do."""
    limit = min(most, MOST_BYTES.get(form, most))
    least = NUMBER_BYTES if form in ("json", "csv") else 0
    nbytes = sum(max(one.nbytes, least * one.selection.size) for one in slices)
    if nbytes > limit:
        advice = "ask for less, in several requests, or for a level"
        if limit < most:
            advice += ", or for format=npy"
        raise TooLarge(f"a slice as {form}", nbytes, limit, "max_slice" if limit == most else "", advice)


def _failed(request: Request, error: Exception) -> bytes:
    """The last message of an answer that could not be completed."""
    return _pack({"error": problem(*failure(request, error))})


def _file(one: Slice, form: str, *, wait: bool) -> bytes:
    if not wait:
        raise WouldBlock
    return WHOLE[form](one.whole(), one.source.element)


def _npy(one: Slice) -> Iterator[_Step]:
    """A numpy file, some rows at a time."""
    dims: Shape = ()
    descr, t = one.source.type["dtype"], one.source.type
    while t["class"] == "array":
        dims, t = (*dims, *t["shape"]), t["base"]
    header = npy_header(descr, ((0,) if one.shape is None else one.shape) + dims)
    yield _said(header)
    for part in one.rows():
        yield _Step(functools.partial(_elements, one, part), TOUCHED_BYTES, one.bytes_of(part))


def _elements(one: Slice, part: Part, *, wait: bool) -> bytes:
    return one.values(part, wait=wait).tobytes()


def _messages(one: Slice, version: str, check: _Step) -> Iterator[_Step]:
    """The messages of a slice."""
    header = _pack(one.header(version))
    yield _said(header)
    for part in one.parts:
        yield _Step(functools.partial(_block, one, part), one.touched(part), one.bytes_of(part))
    yield check
    yield _said(END)


def _block(one: Slice, part: Part, *, wait: bool) -> bytes:
    return _pack(one.block(part, wait=wait))


def _said(data: bytes) -> _Step:
    """Bytes that are known already."""
    return _Step(functools.partial(_same, data), 0, len(data))


def _same(data: bytes, *, wait: bool) -> bytes:  # noqa: ARG001
    return data


def _batches(steps: Iterator[_Step]) -> Iterator[list[_Step]]:
    """Steps in groups that are worth a thread; what is said first comes with the first elements."""
    batch: list[_Step] = []
    touched = nbytes = 0
    for step in steps:
        if touched and (touched + step.touched > TOUCHED_BYTES or nbytes + step.nbytes > PART_BYTES):
            yield batch
            batch, touched, nbytes = [], 0, 0
        batch.append(step)
        touched += step.touched
        nbytes += step.nbytes
    yield batch


def _run(batch: list[_Step], *, wait: bool = True) -> bytes:
    if not wait and sum(step.touched for step in batch) > AT_ONCE:
        raise WouldBlock
    return b"".join([step.make(wait=wait) for step in batch])


def _asked(request: Request, parameters: dict[str, str]) -> Wanted:
    """What a URL asks for."""
    level = parameters.get("level", "")
    if level and not _LEVEL.match(level):
        raise BadRequest(f"level={level} is not the number of a level")
    pairs = parse_qsl(request.query.decode("latin-1"), keep_blank_values=True) if b"field=" in request.query else ()
    fields = tuple(value for name, value in pairs if name == "field")
    axes, method = parameters.get("axes", ""), parameters.get("method", "")
    return Wanted(parameters.get("sel", ""), fields, int(level or 0), axes, method)


def _disposition(parts: tuple[str, ...], form: str) -> bytes:
    """A header that names a file after the dataset (RFC 6266)."""
    name = "_".join((parts[0].rsplit(".", 1)[0], *parts[1:]))[-120:]
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f"attachment; filename=\"{plain}.{form}\"; filename*=UTF-8''{quote(name)}.{form}".encode()


def _posted(request: Request, form: str) -> list[Wanted]:
    """What the body of a request asks for."""
    if form != "msgpack":
        raise BadRequest(f"several selections are answered as msgpack; ask for format={form} by GET")
    is_json = b"json" in request.headers.get(b"content-type", b"")
    decode = msgspec.json.decode if is_json else msgspec.msgpack.decode
    try:
        choices = decode(request.body, type=Question).selections
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        form = "JSON" if is_json else "MessagePack (or JSON with Content-Type: application/json)"
        raise BadRequest(f'the body is not {form} as {{"selections": ["0:10,:", ...]}}: {error}') from None
    if not 0 < len(choices) <= MOST_SELECTIONS:
        raise BadRequest(f"the body has {len(choices)} selections; there may be 1 to {MOST_SELECTIONS}")
    return [Wanted(choice) if isinstance(choice, str) else choice.wanted() for choice in choices]
