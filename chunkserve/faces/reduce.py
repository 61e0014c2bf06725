"""Reductions: ``/reduce/{file}/{dataset}?op=mean,max&axis=0``, as numpy would, where the data are."""

import re
from typing import Any

import msgspec
import numpy as np

from chunkserve.errors import BadRequest
from chunkserve.faces.negotiation import preferred_form
from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.questions import PARAMETERS as WISHES
from chunkserve.faces.questions import asked
from chunkserve.faces.respond import Reply, Request, Responder, Stream
from chunkserve.metadata.messages import Message, dtype_message
from chunkserve.metadata.values import array_json
from chunkserve.pyramid.reduction import OPERATIONS
from chunkserve.service.blob import blob_of
from chunkserve.service.reductions import Asked, Reduced, Work, known_extremes, left_out
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset({*WISHES, "op", "axis", "bins", "range", "valid", "format", "v"})

AHEAD = 3
"""Parts of the source that are reduced at a time."""

MOST_BINS = 2**16
"""Bins of a histogram."""

_NUMBER = re.compile(r"-?[0-9]{1,3}\Z")
_COUNT = re.compile(r"[0-9]{1,5}\Z")


class ReduceFace:
    """Sums, extremes and histograms of datasets and levels."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve the datasets of ``store``."""
        self.store = store
        self.respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = parse_path(request.path)
        p = parameters_of(request.query, path.parameters, PARAMETERS)
        form = preferred_form(request.headers.get(b"accept", b""), p.get("format", ""))
        wanted, reduction = asked(request, p), _reduction(p)
        if not wait:
            raise WouldBlock
        store, pinned = self.store, p.get("v", "")
        subject = store.subject(path.parts, wanted, wait=wait)
        store.check_pin(subject.files[0], pinned, wait=wait)
        version = store.version(subject.files[0], wait=wait)
        work = Work(subject, reduction, left_out(store.pyramids, subject, reduction), store.settings.max_reduce_bytes)
        work.selected.prepare()
        tag = digest("reduce-2", version, path.parts, wanted, subject.tag, reduction, form.json) if version else ""

        def finish(found: Reduced) -> bytes:
            data = _document(found, version, as_json=form.json)
            if tag:
                store.memory.put(tag, data, len(data))
            return data

        data = store.memory.get(tag) if tag else None
        if data is None:
            known = known_extremes(store.pyramids, work)
            data = finish(known) if known is not None else None
        if data is None:
            stream, media = Stream(work.jobs(finish), AHEAD), form.media.encode()
            reply = self.respond.stream(request, stream, media, tag, version=version, pinned=bool(pinned))
        else:
            answer = Answer(blob_of(data), tag, version, media=form.media)
            reply = self.respond.answer(request, answer, wait=wait, pinned=bool(pinned))
        reply.head += form.head
        return reply


def _document(found: Reduced, version: str, *, as_json: bool) -> bytes:
    spell = _json_value if as_json else _value
    results: dict[str, Any] = {}
    for name, values in found.results.items():
        if name == "histogram":
            results[name] = {"counts": spell(values[0]), "edges": spell(values[1])}
        else:
            results[name] = spell(values)
    message = {
        "version": version,
        "shape": list(found.shape),
        "axes": list(found.axes),
        "source": found.source,
        "elements": found.elements,
        "results": results,
    }
    return msgspec.json.encode(message) if as_json else msgspec.msgpack.encode(message)


def _value(values: np.ndarray) -> Message:
    return {"type": dtype_message(values.dtype), "shape": list(values.shape), "data": values.tobytes()}


def _json_value(values: np.ndarray) -> Message:
    return {"type": dtype_message(values.dtype), "shape": list(values.shape), "values": array_json(values)}


def _reduction(p: dict[str, str]) -> Asked:
    """The reduction that parameters ask for."""
    operations = tuple(dict.fromkeys(p.get("op", "").split(",")))
    unknown = [name for name in operations if name not in OPERATIONS]
    if unknown:
        raise BadRequest(f"op={p.get('op', '')}: name some of {', '.join(OPERATIONS)}")
    axes = None
    if p.get("axis", ""):
        words = p["axis"].split(",")
        if not all(map(_NUMBER.match, words)):
            raise BadRequest(f"axis={p['axis']} is not a list of numbers such as 0,-1")
        axes = tuple(map(int, words))
    bins = p.get("bins", "256")
    if not _COUNT.match(bins) or not 1 <= int(bins) <= MOST_BINS:
        raise BadRequest(f"bins={bins} is not a number from 1 to {MOST_BINS}")
    if p.get("valid", "0") not in ("0", "1"):
        raise BadRequest(f"valid={p['valid']} is neither 0 nor 1")
    return Asked(operations, p.get("sel", ""), axes, int(bins), _range(p.get("range", "")), p.get("valid") == "1")


def _range(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        low, high = (int(word) if re.fullmatch(r"-?[0-9]{1,18}", word) else float(word) for word in text.split(","))
    except ValueError:
        raise BadRequest(f"range={text} is not two numbers such as 0,100") from None
    if not np.isfinite([low, high]).all() or low > high:
        raise BadRequest(f"range={text} does not go from one finite number up to another")
    return low, high
