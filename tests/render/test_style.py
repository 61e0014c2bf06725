"""Styles as requests spell them: defaults, refusals that say what would be right, one key per look."""

import dataclasses
import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chunkserve.errors import BadRequest
from chunkserve.render.scales import SCALES
from chunkserve.render.style import PARAMETERS, TRANSPARENT, Style, parse_style

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


def test_nothing_said_means_grey_within_the_window() -> None:
    assert parse_style({}, (1, 5)) == Style(1.0, 5.0, "linear", "gray", False, TRANSPARENT)


def test_every_parameter_is_read() -> None:
    said = {"vmin": "-1e3", "vmax": "2.5", "scale": "symlog", "cmap": "viridis", "invert": "1", "bad": "red"}
    assert set(said) == set(PARAMETERS)
    assert parse_style(said | {"other": "x"}, (0, 1)) == Style(
        -1000.0, 2.5, "symlog", "viridis", True, (255, 0, 0, 255)
    )


def test_one_end_may_be_left_to_the_data() -> None:
    assert parse_style({"vmin": "2"}, (0, 5)) == Style(2.0, 5.0)
    assert parse_style({"vmax": "2"}, (0, 5)) == Style(0.0, 2.0)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"vmin": "7", "vmax": "7"}, "vmin must be below vmax; they are 7 and 7"),
        ({"vmin": "5"}, "vmin=5 leaves nothing of the data's 0 to 5; give both"),
        ({"vmax": "-1"}, "vmax=-1 leaves nothing of the data's 0 to 5; give both"),
        ({"vmin": "nan"}, "vmin must be a finite number, not 'nan'"),
        ({"vmax": "-inf"}, "vmax must be a finite number, not '-inf'"),
        ({"vmax": "1e999"}, "vmax must be a finite number, not '1e999'"),
        ({"vmax": "ten"}, "vmax must be a finite number, not 'ten'"),
        ({"vmax": ""}, "vmax must be a finite number, not ''"),
        ({"scale": "cubic"}, "scale must be one of linear, log, sqrt, symlog, not 'cubic'"),
        ({"scale": "log", "vmin": "-5", "vmax": "0"}, "scale=log shows positive values only, but vmax is 0"),
        ({"vmin": "-1e308", "vmax": "1e308"}, "float64 cannot divide the window"),
        ({"vmin": "-1e308", "vmax": "1e308", "scale": "sqrt"}, "float64 cannot divide the window"),
        ({"vmin": "1e300", "vmax": "1.0000000000000002e300", "scale": "log"}, "float64 cannot divide the window"),
        ({"cmap": "virdis"}, "no colormap is called 'virdis'; did you mean viridis"),
        ({"cmap": "\0\1\2\3"}, "names are those of matplotlib and colorcet"),
        ({"cmap": ""}, "no colormap is called ''"),
        ({"invert": "maybe"}, "invert must be 1 or 0, not 'maybe'"),
        ({"bad": "reddish"}, "bad must be a CSS colour name, rrggbb, rrggbbaa or transparent, not 'reddish'"),
        ({"bad": "#12345"}, "bad must be a CSS colour name"),
    ],
)
def test_what_makes_no_picture_is_refused_and_the_message_says_why(said: dict[str, str], message: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(message)):
        parse_style(said, (0, 5))


def test_long_nonsense_is_not_repeated() -> None:
    for name in set(PARAMETERS):
        with pytest.raises(BadRequest) as caught:
            parse_style({name: "x" * 10_000}, (0, 5))
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("window", [(math.nan, math.nan), (math.inf, -math.inf), (0.0, math.inf)])
def test_data_without_a_window_are_shown_from_0_to_1(window: tuple[float, float]) -> None:
    assert parse_style({}, window) == Style(0.0, 1.0)


@pytest.mark.parametrize("value", [0.0, -3.0, 1e12, -1e300, 2.0**63])
def test_constant_data_are_shown_at_the_bottom_of_a_window(value: float) -> None:
    style = parse_style({}, (value, value))
    assert style.vmin == value < style.vmax


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#FF8000", (255, 128, 0, 255)),
        ("ff8000", (255, 128, 0, 255)),
        ("#ff800040", (255, 128, 0, 64)),
        ("ff800000", TRANSPARENT),
        ("Transparent", TRANSPARENT),
        ("RebeccaPurple", (102, 51, 153, 255)),
        ("black", (0, 0, 0, 255)),
    ],
)
def test_colours_are_written_as_in_css(text: str, colour: tuple[int, ...]) -> None:
    assert parse_style({"bad": text}, (0, 1)).bad == colour


@pytest.mark.parametrize(("text", "value"), [("", True), ("true", True), ("YES", True), ("0", False), ("false", False)])
def test_flags_have_common_spellings(text: str, value: bool) -> None:
    assert parse_style({"invert": text}, (0, 1)).invert is value


def test_the_key_is_the_same_for_the_same_look() -> None:
    def key(**said: str) -> str:
        return parse_style(said, (0, 1)).key

    assert (
        key() == key(vmin="-0.0", vmax="1e0", scale="linear", cmap="Gray", bad="#12345600") == key(cmap="matlab:gray")
    )
    assert key(cmap="gray_r") == key(invert="1")
    assert key(cmap="viridis_r", invert="1") == key(cmap="viridis")


def test_the_key_differs_with_every_field() -> None:
    style = Style(1.0, 2.0)
    other = {
        "vmin": 0.5,
        "vmax": math.nextafter(2.0, 3),
        "scale": "log",
        "cmap": "jet",
        "invert": True,
        "bad": (0, 0, 0, 1),
    }
    assert set(other) == {field.name for field in dataclasses.fields(Style)}
    keys = {dataclasses.replace(style, **{name: value}).key for name, value in other.items()}
    assert len(keys | {style.key}) == len(other) + 1
    assert all(re.fullmatch(r"[\x21\x23-\x7e]+", key) for key in keys)


@given(finite, finite, st.sampled_from(sorted(SCALES)))
def test_every_window_is_either_refused_or_has_an_extent(vmin: float, vmax: float, scale: str) -> None:
    try:
        style = Style(vmin, vmax, scale)
    except BadRequest:
        assume(vmin < vmax)
        assert scale == "log"
        assert vmax <= 0 or math.log(vmax) == math.log(vmin)
        return
    low, high = style.ends
    assert vmin < vmax
    assert 0 < high - low < math.inf
