"""Messages survive the way between processes; what is malformed is refused, never half believed."""

import msgspec
import pytest

from chunkserve.datatypes import DataType, Member
from chunkserve.model import (
    Attribute,
    Broken,
    Dataset,
    ExternalSegment,
    Fill,
    Filter,
    Group,
    Link,
    Mapping,
    NamedType,
    Selection,
    Snapshot,
)
from chunkserve.wire import Failure, Index, Located, Lookup, Read, Reply, Scan, Task, Values, decode, encode

F4 = DataType("float", 4, "<")
RECORD = DataType("compound", 8, members=(Member("x", 0, F4), Member("é", 4, DataType("array", 4, base=F4, dims=(1,)))))
ATTRIBUTES = (
    Attribute(b"\xff not utf-8", RECORD, (2,), b"\0" * 16),
    Attribute(b"text", DataType("string", 16, variable=True), (), ["one"]),
    Attribute(b"null", F4, None),
    Attribute(b"large", F4, (10**9,), omitted="4000000000 bytes"),
)
SNAPSHOT = Snapshot(
    root=96,
    groups={96: Group(ATTRIBUTES, (Link(b"x", "hard", 800), Link(b"e", "external", path=b"/d", file=b"o.h5")))},
    datasets={
        800: Dataset(
            ATTRIBUTES,
            F4,
            (4, 6),
            (None, 6),
            "chunked",
            (2, 3),
            (Filter(1, 1, (4,), "deflate"),),
            Fill(b"\0\0\x80\x3f", user_defined=True, time="alloc"),
            blocks=(1, 3),
        ),
        900: Dataset(
            (),
            F4,
            (8,),
            (None,),
            "virtual",
            mappings=(Mapping("s%b.h5", "/x", Selection((0,), (1,), (None,), (4,)), Selection(), (4,)),),
        ),
        901: Dataset((), F4, (8,), (8,), "external", external=(ExternalSegment(b"raw", 4, None),)),
    },
    types={7: NamedType((), RECORD)},
    broken={8: Broken("why")},
    paths={9: [b"deep", b"er"]},
    swmr=True,
)


@pytest.mark.parametrize(
    "message",
    [
        SNAPSHOT,
        Task(scan=Scan((b"a", b"\xff"), 10, 1.5, 100)),
        Task(index=Index(())),
        Task(lookup=Lookup((b"x",), ((0, 0), (2, 3)))),
        Task(read=Read((b"x",), (0,), (4,), twice=True)),
        Located((4, 6), ((2048, 24, 1), None)),
        Values(b"1234"),
        Values(items=["text", b"\xff", 1.5, [1, ["nested"]], None]),
        Reply(failure=Failure("missing", "gone")),
    ],
    ids=lambda m: type(m).__name__,
)
def test_messages_survive(message) -> None:
    assert decode(encode(message), type(message)) == message
    assert decode(memoryview(encode(message)), type(message)) == message


def changed(**fields: object) -> bytes:
    message = msgspec.to_builtins(Located((4,), ((1, 2, 3),))) | fields
    return msgspec.msgpack.encode(message)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        encode(Located((4,), ()))[:-1],
        encode(Located((4,), ())) + b"\0",
        msgspec.msgpack.encode([1, 2]),
        changed(shape=["4"]),
        changed(shape=None),
        changed(chunks=[[1, 2]]),
        changed(chunks=[[1, 2, 3.5]]),
        changed(chunks=7),
    ],
)
def test_what_is_malformed_is_refused(data) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - as documented; the message is msgspec's
        decode(data, Located)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("layout", "elsewhere"), ("shape", [-1.5]), ("type", {"cls": "code", "size": 1}), ("filters", [1])],
)
def test_a_snapshot_with_a_wrong_word_is_refused(kind, value) -> None:
    message = msgspec.msgpack.decode(encode(SNAPSHOT.datasets[800]))
    with pytest.raises(ValueError, match=r"Expected|Invalid"):
        decode(msgspec.msgpack.encode(message | {kind: value}), Dataset)
