"""Slices: ``/slice/{file}/{dataset}?sel=0:10,:,::4``, as messages, or as a file for other programs."""

import functools
import itertools
import json
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from chunkserve.errors import BadRequest, SourceChanged, TooLarge
from chunkserve.faces.negotiation import MSGPACK
from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.problems import failure, problem
from chunkserve.faces.questions import PARAMETERS as WISHES
from chunkserve.faces.questions import asked, posted
from chunkserve.faces.respond import Reply, Request, Responder, Stream
from chunkserve.faces.saving import MEDIA, MOST_BYTES, disposition, whole
from chunkserve.faces.steps import Step, batches, run, said
from chunkserve.hdf5.export import Axis, Plot
from chunkserve.metadata.exports import npy_head
from chunkserve.selection import Part
from chunkserve.service.blob import blob_of
from chunkserve.service.blocks import block, header
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.labels import axes_of, unit_of
from chunkserve.service.picked import TOUCHED_BYTES
from chunkserve.service.selected import Selected
from chunkserve.service.slices import Subject, Wanted
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset({*WISHES, "format", "download", "v"})

FORMS = ("msgpack", *MEDIA)
"""What an answer can be."""

NUMBER_BYTES = 8
"""What an element weighs at least, spelled out."""

AHEAD = 3
"""Parts of an answer that are made at a time."""

_pack = msgspec.msgpack.Encoder().encode

END = _pack({"end": True})


class _Question(NamedTuple):
    """All that decides about the bytes of an answer."""

    path: tuple[str, ...]
    asked: tuple[Wanted, ...]
    form: str
    pinned: str


class _Slice(NamedTuple):
    """A selection, and of what."""

    subject: Subject
    selected: Selected


class SliceFace:
    """Slices of datasets and levels."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve the datasets of ``store``."""
        self.store = store
        self.respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = parse_path(request.path)
        parameters = parameters_of(request.query, path.parameters, PARAMETERS)
        form = parameters.get("format", "msgpack")
        if form not in FORMS:
            raise BadRequest(f"format={form} is none of {', '.join(FORMS)}")
        wanted = _posted(request, form) if request.method == "POST" else [asked(request, parameters)]
        question = _Question(path.parts, tuple(wanted), form, parameters.get("v", ""))
        subjects = [self.store.subject(path.parts, each, wait=wait) for each in wanted]
        slices = [_Slice(subject, subject.select(each.sel)) for subject, each in zip(subjects, wanted, strict=True)]
        reply = self._answer(request, question, slices, wait=wait)
        if form != "msgpack" and parameters.get("download", "0") == "1":
            reply.head.append((b"content-disposition", disposition(path.parts, form)))
        return reply

    def _answer(self, request: Request, question: _Question, slices: list[_Slice], *, wait: bool) -> Reply:
        """The answer to a question about slices."""
        file, pinned = slices[0].subject.files[0], bool(question.pinned)
        self.store.check_pin(file, question.pinned, wait=wait)
        version = self.store.version(file, wait=wait)
        tag = ""
        if version and request.method != "POST":
            tag = digest("slice-2", version, question, [one.subject.tag for one in slices])
        if tag and request.known() == tag:
            return self.respond.answer(request, Answer(blob_of(), tag), wait=wait, pinned=pinned)
        if wait:
            for one in slices:
                one.selected.prepare()
        grouped = batches(self._steps(question.form, slices, version))
        first, second = next(grouped), next(grouped, None)
        media = MEDIA.get(question.form, MSGPACK)
        if second is not None and not wait:
            raise WouldBlock
        if second is None:
            data = run(first, wait=wait)
            if not tag:
                return self.respond.fleeting(request, data, media.encode())
            answer = Answer(blob_of(data), tag, version, media=media)
            return self.respond.answer(request, answer, wait=wait, pinned=pinned)
        parts = (functools.partial(run, batch) for batch in itertools.chain((first, second), grouped))
        failed = functools.partial(_failed, request) if question.form == "msgpack" else None
        stream = Stream(parts, AHEAD, failed)
        return self.respond.stream(request, stream, media.encode(), tag, version=version, pinned=pinned)

    def _steps(self, form: str, slices: list[_Slice], version: str) -> Iterator[Step]:
        _check_size(form, [one.selected for one in slices], self.store.settings.max_slice)
        check = Step(functools.partial(self._check_version, slices[0].subject.files[0], version))
        if form == "msgpack":
            return itertools.chain.from_iterable(_messages(one, version, check) for one in slices)
        if form == "npy":
            return itertools.chain(_npy(slices[0]), (check,))
        return iter([Step(functools.partial(self._file, slices[0], form))])

    def _file(self, one: _Slice, form: str, *, wait: bool) -> bytes:
        """A file that is made at once."""
        if not wait:
            raise WouldBlock
        subject, selection = one.subject, one.selected.selection
        values = one.selected.all()

        def plot() -> Plot:
            axes = axes_of(subject, self.store.nodes, selection)
            kept = [axes[axis] for axis in selection.axes]
            dims = [Axis("") for _ in values.shape[len(kept) :]]
            about = {"source": subject.node.path, "selection": json.dumps(selection.document())}
            name = subject.node.name.decode("utf-8", "replace")
            return Plot(name, values, [*kept, *dims], unit_of(subject), about)

        return whole(form, values, one.selected.source.type, plot)

    def _check_version(self, file: HdfFile, version: str, *, wait: bool) -> bytes:
        """Nothing to send, if all files an answer was drawn from still are what they were when it began."""
        if self.store.version(file, wait=wait) != version:
            raise SourceChanged(f"{file.name} or a file it draws from changed while it was read")
        return b""


def _check_size(form: str, slices: list[Selected], most: int) -> None:
    """Refuse an answer that would be too large, saying what to do."""
    limit = min(most, MOST_BYTES.get(form, most))
    least = NUMBER_BYTES if form in ("json", "csv") else 0
    nbytes = sum(max(one.nbytes, least * one.selection.size) for one in slices)
    if nbytes > limit:
        advice = "ask for less, in several requests, or for a level"
        if limit < most:
            advice += ", or for format=npy"
        raise TooLarge(f"a slice as {form}", nbytes, limit, "max_slice" if limit == most else "", advice)


def _posted(request: Request, form: str) -> list[Wanted]:
    if form != "msgpack":
        raise BadRequest(f"several selections are answered as msgpack; ask for format={form} by GET")
    return posted(request)


def _failed(request: Request, error: Exception) -> bytes:
    """The last message of an answer that could not be completed."""
    return _pack({"error": problem(*failure(request.shown, error))})


# ----------------------------------------------------------------------- steps


def _messages(one: _Slice, version: str, check: Step) -> Iterator[Step]:
    """The messages of a slice."""
    selected = one.selected
    yield said(_pack(header(one.subject, selected, version)))
    for part in selected.parts:
        yield Step(functools.partial(_block, selected, part), selected.touched(part), selected.bytes_of(part))
    yield check
    yield said(END)


def _block(selected: Selected, part: Part, *, wait: bool) -> bytes:
    return _pack(block(selected, part, wait=wait))


def _npy(one: _Slice) -> Iterator[Step]:
    """A numpy file, some rows at a time."""
    selected = one.selected
    yield said(npy_head(selected.source.type, selected.shape))
    for part in selected.rows():
        yield Step(functools.partial(_elements, selected, part), TOUCHED_BYTES, selected.bytes_of(part))


def _elements(selected: Selected, part: Part, *, wait: bool) -> bytes:
    return selected.values(part, wait=wait).tobytes()
