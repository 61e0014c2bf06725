"""Units as files write them, as the names that OME-Zarr and its viewers know.

The lists are those of OME-Zarr 0.4 and 0.5 ("axes" metadata, https://ngff.openmicroscopy.org/0.5/#axes-md), spelt as in
UDUNITS-2. Neuroglancer refuses a whole dataset for any other unit, so there is no way to say degrees or electronvolts.
"""

import re
import unicodedata

_PREFIXES = (
    {"Y": "yotta", "Z": "zetta", "E": "exa", "P": "peta", "T": "tera", "G": "giga", "M": "mega", "k": "kilo"}
    | {"h": "hecto", "": "", "d": "deci", "c": "centi", "m": "milli", "u": "micro", "μ": "micro", "n": "nano"}
    | {"p": "pico", "f": "femto", "a": "atto", "z": "zepto", "y": "yocto"}
)

_OTHER_SPACE = {"angstrom", "foot", "inch", "mile", "parsec", "yard"}
_OTHER_TIME = {"minute", "hour", "day"}

SPACE_UNITS = frozenset({f"{prefix}meter" for prefix in _PREFIXES.values()} | _OTHER_SPACE)
"""Units of an axis of type ``space``."""

TIME_UNITS = frozenset({f"{prefix}second" for prefix in _PREFIXES.values()} | _OTHER_TIME)
"""Units of an axis of type ``time``."""

_KNOWN = SPACE_UNITS | TIME_UNITS

_SYMBOLS = (
    {f"{symbol}m": f"{prefix}meter" for symbol, prefix in _PREFIXES.items()}
    | {f"{symbol}s": f"{prefix}second" for symbol, prefix in _PREFIXES.items()}
    | {"Å": "angstrom", "A": "angstrom", "in": "inch", "ft": "foot", "yd": "yard", "mi": "mile", "pc": "parsec"}
    | {"min": "minute", "h": "hour", "d": "day"}
)
"""Symbols, in which case counts: ``Mm`` is no ``mm``. ``A``, in UDUNITS the ampere, is taken for an ångström that lost
its ring: what an axis is measured in is more likely a length."""

_NAMES = (
    {"micron": "micrometer", "ang": "angstrom", "ångström": "angstrom", "ångstrom": "angstrom", "feet": "foot"}
    | {"sec": "second", "msec": "millisecond", "usec": "microsecond", "μsec": "microsecond", "nsec": "nanosecond"}
    | {"min": "minute", "hr": "hour", "inches": "inch", "angström": "angstrom"}
)
"""Names, in which case does not count, besides those of the lists."""

_SINCE = re.compile(r"(\S+)\s+since\s", re.IGNORECASE)


def unit_name(text: str) -> str | None:
    """A unit by its name in OME-Zarr: ``um``, ``µm``, ``micron`` and ``Micrometers`` are ``micrometer``.

    ``None`` for whatever is neither a length nor a duration (``deg``, ``eV``, ``pixel``), has a factor (``10 um``), or
    is a calendar (``seconds since 1970-01-01``).
    """
    # compatibility forms: the micro sign becomes mu, the ångström sign a letter
    plain = unicodedata.normalize("NFKC", text).strip()
    found = _SYMBOLS.get(plain) or _named(plain.lower())
    return found if found in _KNOWN else None


def _named(name: str) -> str:
    name = name.replace("metre", "meter")
    singular = name.removesuffix("s")
    return name if name in _KNOWN else _NAMES.get(name) or _NAMES.get(singular, singular)


def measures_time(text: str) -> bool:
    """Whether a unit is a duration, or a calendar: ``ms``, ``days since 1900-01-01``."""
    calendar = _SINCE.match(text.strip())
    return unit_name(calendar[1] if calendar else text) in TIME_UNITS
