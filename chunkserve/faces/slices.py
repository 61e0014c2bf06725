"""Slices: ``/slice/{file}/{dataset}?sel=0:10,:,::4``, as messages, or as a file for other programs."""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from chunkserve.errors import BadRequest, TooLarge
from chunkserve.faces.paths import UrlPath, parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder, Stream, failure, problem
from chunkserve.selection import Part
from chunkserve.service.blob import blob_of
from chunkserve.service.slices import PART_BYTES, TOUCHED_BYTES, Slice, Source, Wanted
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset({"sel", "level", "axes", "method", "field", "format", "v"})

MSGPACK = "application/msgpack"

MOST_SELECTIONS = 10_000
"""Selections in one question."""

AHEAD = 3
"""Parts of an answer that are made at a time."""

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


@dataclass(frozen=True)
class _Step:
    """Something to be computed for an answer, and how many bytes are read and sent for it."""

    make: Callable[[], bytes]
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
        if not wait:
            raise WouldBlock
        parameters = parameters_of(request.query, path.parameters, PARAMETERS)
        asked = _posted(request) if request.method == "POST" else [_asked(request, parameters)]
        slices = [Slice(self._source(path, wanted, wait=wait), wanted.sel) for wanted in asked]
        return self._messages(request, path, asked, slices, wait=wait)

    def _source(self, path: UrlPath, wanted: Wanted, *, wait: bool) -> Source:
        found = self.store.slices.known(path.parts, wanted)
        if found is None:
            if not wait:
                raise WouldBlock
            found = self.store.slices.source(path.parts, self.store.object(path.parts).node(), wanted)
        return found

    def _messages(
        self, request: Request, path: UrlPath, asked: list[Wanted], slices: list[Slice], *, wait: bool
    ) -> Reply:
        nbytes, limit = sum(one.nbytes for one in slices), self.store.settings.max_slice
        if nbytes > limit:
            raise TooLarge("a slice", nbytes, limit, "max_slice", "ask for less, in several requests, or for a level")
        source = slices[0].source
        version = self.store.version(source.files[0], wait=wait)
        pinned = path.parameters.get("v", "")
        if pinned:
            self.store.check_pin(source.files[0], pinned, wait=wait)
        known = version and request.method != "POST"
        tag = digest("slice-1", version, path.parts, asked, [one.source.tag for one in slices]) if known else ""
        if tag and request.known() == tag:
            return self.respond.answer(request, Answer(blob_of(), tag), wait=wait, pinned=bool(pinned))
        for one in slices:
            one.prepare()
        batches = _batches(step for one in slices for step in _steps(one, version))
        first = next(batches)
        second = next(batches, None)
        if second is None:
            data = _run(first)
            if not tag:
                return self.respond.fleeting(request, data, MSGPACK.encode())
            answer = Answer(blob_of(data), tag, version, media=MSGPACK)
            return self.respond.answer(request, answer, wait=wait, pinned=bool(pinned))

        def parts() -> Iterator[Callable[[], bytes]]:
            yield functools.partial(_run, first)
            yield functools.partial(_run, second)
            yield from (functools.partial(_run, batch) for batch in batches)

        def failed(error: Exception) -> bytes:
            return _pack({"error": problem(*failure(request, error))})

        stream = Stream(parts(), AHEAD, failed)
        return self.respond.stream(request, stream, MSGPACK.encode(), tag, version=version, pinned=bool(pinned))


def _steps(one: Slice, version: str) -> Iterator[_Step]:
    """The messages of a slice."""
    header = _pack(one.header(version))
    yield _Step(lambda: header, 0, len(header))
    for part in one.parts:
        nbytes = one.source.itemsize[0]
        for n in part.shape:
            nbytes *= n
        yield _Step(functools.partial(_block, one, part), one.touched(part), nbytes)
    yield _Step(lambda: END, 0, len(END))


def _block(one: Slice, part: Part) -> bytes:
    return _pack(one.block(part))


def _batches(steps: Iterator[_Step]) -> Iterator[list[_Step]]:
    """Steps in groups that are worth a thread."""
    batch: list[_Step] = []
    touched = nbytes = 0
    for step in steps:
        if batch and (touched + step.touched > TOUCHED_BYTES or nbytes + step.nbytes > PART_BYTES):
            yield batch
            batch, touched, nbytes = [], 0, 0
        batch.append(step)
        touched += step.touched
        nbytes += step.nbytes
    yield batch


def _run(batch: list[_Step]) -> bytes:
    return b"".join([step.make() for step in batch])


def _asked(request: Request, parameters: dict[str, str]) -> Wanted:
    """What a URL asks for."""
    level = parameters.get("level", "")
    if level and not _LEVEL.match(level):
        raise BadRequest(f"level={level} is not the number of a level")
    pairs = parse_qsl(request.query.decode("latin-1"), keep_blank_values=True) if b"field=" in request.query else ()
    fields = tuple(value for name, value in pairs if name == "field")
    axes, method = parameters.get("axes", ""), parameters.get("method", "")
    return Wanted(parameters.get("sel", ""), fields, int(level or 0), axes, method)


def _posted(request: Request) -> list[Wanted]:
    """What the body of a request asks for."""
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
