"""Units that files write come out by the names viewers accept, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.metadata.units import SPACE_UNITS, TIME_UNITS, measures_time, unit_name

# Neuroglancer's table (src/datasource/zarr/ome.ts, src/util/si_units.ts), by its own words
_LONG = ["yotta", "zetta", "exa", "peta", "tera", "giga", "mega", "kilo", "", "milli", "micro", "nano", "pico"]
_LONG += ["femto", "atto", "zepto", "yocto", "hecto", "deca", "deci", "centi"]
NEUROGLANCER = {f"{prefix}{unit}" for prefix in _LONG for unit in ("meter", "second")}
NEUROGLANCER |= {"angstrom", "foot", "inch", "mile", "parsec", "yard", "minute", "hour", "day"}

WRITTEN = {
    "micrometer": ["um", "µm", "μm", "micron", "microns", "Micron", "micrometre", "Micrometers", " um "],
    "millimeter": ["mm", "millimeters", "millimetre", "MILLIMETER"],
    "megameter": ["Mm"],
    "meter": ["m", "metre", "metres", "Meter"],
    "centimeter": ["cm"],
    "kilometer": ["km"],
    "nanometer": ["nm"],
    "picometer": ["pm"],
    "angstrom": ["Angstrom", "angstroms", "A", "Å", "\u212b", "A\u030a", "Ångström", "ang"],
    "second": ["s", "sec", "seconds", "Second"],
    "millisecond": ["ms", "msec", "milliseconds"],
    "microsecond": ["us", "µs", "microseconds"],
    "minute": ["min", "mins", "minutes"],
    "hour": ["h", "hr", "hrs", "hours"],
    "day": ["d", "days"],
    "foot": ["ft", "feet"],
    "inch": ["in", "inches"],
}

NOT_SAID = ["", "deg", "degree", "degrees_north", "degrees_east", "rad", "mrad", "arcmin", "arcsec", "eV", "keV", "MeV"]
NOT_SAID += ["pixel", "px", "1", "K", "Hz", "1/angstrom", "m/s", "m^2", "mm*mm", "10 um", "1e-6 m", "um mm", "MM", "S"]
NOT_SAID += ["seconds since 1970-01-01", "days since 1900-01-01 00:00:00", "month", "year", "a.u.", "dam", "Âµm"]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRITTEN.items() for text in texts])
def test_a_unit_is_known_however_it_is_written(name: str, text: str) -> None:
    assert unit_name(text) == name


@pytest.mark.parametrize("text", NOT_SAID)
def test_what_is_neither_length_nor_duration_is_dropped(text: str) -> None:
    assert unit_name(text) is None


def test_the_lists_are_those_of_the_specification_and_neuroglancer_knows_them_all() -> None:
    assert (len(SPACE_UNITS), len(TIME_UNITS)) == (26, 23)  # counted in "axes" metadata of 0.4 and 0.5
    assert not SPACE_UNITS & TIME_UNITS
    assert NEUROGLANCER >= SPACE_UNITS | TIME_UNITS
    assert {name for name in SPACE_UNITS | TIME_UNITS if unit_name(name) != name} == set()


@given(st.text(max_size=12))
def test_no_text_at_all_becomes_a_unit_that_viewers_refuse(text: str) -> None:
    assert unit_name(text) in NEUROGLANCER | {None}


@pytest.mark.parametrize("text", ["ms", "hours", "seconds since 1970-01-01", "Days since 1900-01-01"])
def test_durations_and_calendars_are_time(text: str) -> None:
    assert measures_time(text)


@pytest.mark.parametrize("text", ["", "um", "deg", "since 1970", "1/s", "months since 1970-01-01"])
def test_other_units_are_not_time(text: str) -> None:
    assert not measures_time(text)
