"""Reductions: ``/reduce/{file}/{dataset}?op=mean,max&axis=0``, as numpy would, where the data are."""

import re
from typing import Any

import msgspec
import numpy as np

from chunkserve.datatypes import number_type
from chunkserve.errors import BadRequest
from chunkserve.faces.negotiation import preferred_form
from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.questions import PARAMETERS as WISHES
from chunkserve.faces.questions import asked
from chunkserve.faces.respond import Reply, Request, Responder, Stream
from chunkserve.faces.saving import MEDIA, disposition, whole
from chunkserve.hdf5.export import Axis, Plot, Value
from chunkserve.metadata.messages import Message, dtype_message
from chunkserve.metadata.values import array_json
from chunkserve.pyramid.reduction import OPERATIONS
from chunkserve.render.npy import npy
from chunkserve.service.blob import blob_of
from chunkserve.service.labels import axes_of, unit_of
from chunkserve.service.reductions import Asked, Reduced, Work, known_extremes, left_out
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset({*WISHES, "op", "axis", "bins", "range", "valid", "format", "dtype", "download", "v"})

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
        wanted, reduction = asked(request, p), _reduction(p)
        file = _file_form(p, reduction)
        form = preferred_form(request.headers.get(b"accept", b""), "" if file else p.get("format", ""))
        if not wait:
            raise WouldBlock
        store, pinned = self.store, p.get("v", "")
        subject = store.subject(path.parts, wanted, wait=wait)
        store.check_pin(subject.files[0], pinned, wait=wait)
        version = store.version(subject.files[0], wait=wait)
        work = Work(subject, reduction, left_out(store.pyramids, subject, reduction), store.settings.max_reduce_bytes)
        work.selected.prepare()
        way = file + p.get("dtype", "") if file else form.json
        tag = digest("reduce-2", version, path.parts, wanted, subject.tag, reduction, way) if version else ""

        def finish(found: Reduced) -> bytes:
            data = self._file(work, found, file, p) if file else _document(found, version, as_json=form.json)
            if tag:
                store.memory.put(tag, data, len(data))
            return data

        data = store.memory.get(tag) if tag else None
        media = MEDIA[file] if file else form.media
        if data is None:
            known = known_extremes(store.pyramids, work)
            data = finish(known) if known is not None else None
        if data is None:
            stream = Stream(work.jobs(finish), AHEAD)
            reply = self.respond.stream(request, stream, media.encode(), tag, version=version, pinned=bool(pinned))
        else:
            answer = Answer(blob_of(data), tag, version, media=media)
            reply = self.respond.answer(request, answer, wait=wait, pinned=bool(pinned))
        if file and p.get("download", "0") == "1":
            reply.head.append((b"content-disposition", disposition((*path.parts, *reduction.operations), file)))
        reply.head += () if file else form.head
        return reply

    def _file(self, work: Work, found: Reduced, form: str, p: dict[str, str]) -> bytes:
        """A result as a file."""
        (name,) = work.asked.operations
        values = found.results[name]
        if p.get("dtype"):
            values = values.astype(p["dtype"])
        if form == "npy":
            return npy(values)

        def plot() -> Plot:
            subject = work.subject
            axes = axes_of(subject, self.store.nodes, work.selection)
            about: dict[str, Value] = {"source": subject.node.path, "operation": name}
            about["selection"] = work.asked.sel or "..."
            about["valid"] = "only measurements" if work.validity is not None else "all elements"
            for axis in work.task.axes:
                about |= _extent(axes[axis])
            unit = "" if name == "count" else unit_of(subject)
            return Plot(name, values, [axes[axis] for axis in found.axes], unit, about)

        return whole(form, values, number_type(values.dtype), plot)


def _extent(axis: Axis) -> dict[str, Value]:
    """From where to where an axis was reduced, in its unit."""
    if axis.values is None or not len(axis.values):
        return {}
    name = axis.name or "axis"
    ends: dict[str, Value] = {f"{name}_range": (float(axis.values[0]), float(axis.values[-1]))}
    return ends | ({f"{name}_units": axis.unit} if axis.unit else {})


def _file_form(p: dict[str, str], reduction: Asked) -> str:
    """The kind of file that is asked for; empty for messages."""
    form, dtype = p.get("format", ""), p.get("dtype", "")
    if dtype not in ("", "f4", "f8"):
        raise BadRequest(f"dtype={dtype} must be f4 or f8, or left out for the one that holds all digits")
    if form not in MEDIA or form == "json":
        if dtype:
            raise BadRequest("dtype= is for files: format=tiff, npy, csv or h5")
        return ""
    if len(reduction.operations) != 1 or reduction.operations[0] == "histogram":
        raise BadRequest(f"format={form} holds the result of one operation, and none is histogram")
    return form


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
