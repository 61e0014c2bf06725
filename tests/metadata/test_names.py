"""Every HDF5 name has one node name and every node name one HDF5 name."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chunkserve.errors import NotFound
from chunkserve.metadata.names import MAX_NAME, RESERVED, link_name, node_name

LINKS = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.text(min_size=1, max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text("~/.#?%\\0123456789ABCDEFabcdef\n", min_size=1, max_size=12).map(str.encode),
    st.sampled_from(sorted(RESERVED)).map(str.encode),
)


@given(LINKS)
@example(b"~7E")
@example("\udc80".encode("utf-8", "surrogatepass"))
def test_a_name_comes_back(link: bytes) -> None:
    name = node_name(link)
    assert name is not None
    assert link_name(name) == link


@given(LINKS)
def test_a_node_name_is_safe_in_a_url_and_in_zarr(link: bytes) -> None:
    name = node_name(link)
    assert name
    assert name not in RESERVED
    assert not re.search(r"[#?%\\/\x00-\x1f\x7f]", name)
    name.encode()  # no lone surrogates


@given(st.one_of(st.text(max_size=12), st.text("~0123456789ABCDEFabcdef.", max_size=9)))
def test_a_node_name_is_refused_or_the_only_spelling(name: str) -> None:
    try:
        link = link_name(name)
    except NotFound:
        return
    assert node_name(link) == name


@pytest.mark.parametrize(
    ("link", "name"),
    [
        (b"counts", "counts"),
        ("größe µ".encode(), "größe µ"),
        (b"a b&c=d+e", "a b&c=d+e"),
        (b"__private", "__private"),
        (b".hidden", ".hidden"),
        (b"c", "c"),
        (b"0", "0"),
        (b".", "~2E"),
        (b"..", "~2E."),
        (b"zarr.json", "~7Aarr.json"),
        (b".zarray", "~2Ezarray"),
        (b"50%", "50~25"),
        (b"~", "~7E"),
        (b"caf\xe9", "caf~E9"),
        (b"\xed\xa0\x80", "~ED~A0~80"),
        (b"field/of/compound", "field~2Fof~2Fcompound"),
        (b"\n", "~0A"),
    ],
)
def test_names_are_spelled_like_this(link, name) -> None:
    assert node_name(link) == name
    assert link_name(name) == link


@pytest.mark.parametrize("name", ["", ".", "zarr.json", "~", "~7", "~41", "~7e", "~C3~A9", "a%20b", "a/b", "\udcff"])
def test_other_spellings_are_not_found(name) -> None:
    with pytest.raises(NotFound):
        link_name(name)


def test_a_name_of_periods_alone_is_escaped() -> None:
    assert set(node_name(b"...") or "") != {"."}


def test_names_too_long_for_a_url_have_none() -> None:
    assert node_name(b"x" * MAX_NAME) == "x" * MAX_NAME
    assert node_name(b"x" * (MAX_NAME + 1)) is None
    assert node_name(b"") is None
