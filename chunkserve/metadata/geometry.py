"""Geometry of diffraction: where files keep it (a table), in which units, and what follows from it. Pure."""

import functools
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import msgspec

from chunkserve.errors import BadRequest

Quantity = Literal[
    "beam_center_x", "beam_center_y", "distance", "pixel_size_x", "pixel_size_y", "wavelength", "energy"
]  # fmt: skip

QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

TABLE = Path(__file__).with_name("geometry.toml")

HC = 12_398.419843320026
"""Planck's constant times the speed of light, in eV angstrom (exact in SI units since 2019)."""

_JOULE = 1 / 1.602176634e-19

_LENGTHS = {
    "m": 1.0, "meter": 1.0, "metre": 1.0, "cm": 1e-2, "mm": 1e-3, "millimeter": 1e-3, "millimetre": 1e-3, "um": 1e-6,
    "\u03bcm": 1e-6, "micron": 1e-6, "micrometer": 1e-6, "micrometre": 1e-6, "nm": 1e-9, "nanometer": 1e-9, "pm": 1e-12,
    "angstrom": 1e-10, "\u00e5": 1e-10, "a": 1e-10, "\u00e5ngstr\u00f6m": 1e-10,
}  # fmt: skip
_ENERGIES = {"ev": 1.0, "kev": 1e3, "mev": 1e6, "j": _JOULE, "joule": _JOULE}


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the table.

    Attributes:
        quantity: What is there.
        path: ``NXclass/name``, or ``/path/from/the/entry``.
        unit: Of the numbers, if the file does not say.
    """

    quantity: Quantity
    path: str
    unit: str = ""

    def __post_init__(self) -> None:
        """Check the path.

        Raises:
            ValueError: It is of neither form.
        """
        head, slash, name = self.path.partition("/")
        if not slash or not name or (head and (not head.startswith("NX") or "/" in name)):
            raise ValueError(f"path {self.path!r} is neither NXclass/name nor /path/from/the/entry")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    place: tuple[Place, ...]


@functools.cache
def places(more: str = "") -> tuple[Place, ...]:
    """The table; rows of the TOML file ``more`` come first.

    Raises:
        BadRequest: The file cannot be read.
    """
    return (_read(more) if more else ()) + _read(str(TABLE))


def _read(path: str) -> tuple[Place, ...]:
    try:
        with open(path, "rb") as file:
            return msgspec.convert(tomllib.load(file), _Table).place
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadRequest(f"{path}: {error}") from None


@dataclass(frozen=True)
class Measured:
    """A number as a file has it: value, unit, and where it stands."""

    value: float
    unit: str
    path: str


@dataclass(frozen=True)
class Geometry:
    """A flat detector across the beam.

    Attributes:
        beam_center: Column and row of the direct beam; pixel ``i`` covers the numbers from ``i`` to ``i + 1``.
        distance: From the sample to the detector, along the beam, in metres.
        pixel_size: Width and height of a pixel, in metres.
        wavelength: In angstrom.
        sources: Paths in the file, by quantity.
    """

    beam_center: tuple[float, float] | None
    distance: float | None
    pixel_size: tuple[float, float] | None
    wavelength: float | None
    sources: Mapping[str, str]

    @property
    def missing(self) -> list[str]:
        """What nobody can tell resolutions without."""
        names = ("beam_center", "distance", "pixel_size", "wavelength")
        return [name for name in names if getattr(self, name) is None]


def geometry(found: Mapping[Quantity, Measured]) -> Geometry:
    """The geometry that numbers of a file make. What has no unit, or makes no sense, is left out."""
    known = {name: one for name, one in found.items() if _amount(name, one) is not None}
    amounts = {name: _amount(name, one) for name, one in known.items()}
    size = _pair(amounts.get("pixel_size_x"), amounts.get("pixel_size_y"))
    x, y = known.get("beam_center_x"), known.get("beam_center_y")
    center = _pair(_pixels(x, size, 0), _pixels(y, size, 1))
    wavelength = amounts.get("wavelength")
    if wavelength is not None:
        wavelength *= 1e10
    elif amounts.get("energy"):
        wavelength = HC / (amounts["energy"] or math.nan)
    return Geometry(center, amounts.get("distance"), size, wavelength, {name: one.path for name, one in known.items()})


def _pair(x: float | None, y: float | None) -> tuple[float, float] | None:
    return None if x is None or y is None else (x, y)


def is_pixel(unit: str) -> bool:
    """Whether a unit counts pixels."""
    return unit.strip().lower().rstrip("s") in ("pixel", "px")


def _amount(quantity: Quantity, measured: Measured) -> float | None:
    """In metres or electronvolts; beam centres as they are."""
    value, unit = measured.value, measured.unit.strip().lower()
    if not math.isfinite(value):
        return None
    if quantity.startswith("beam_center"):
        return value if is_pixel(unit) or unit in _LENGTHS else None
    # the unit of length or energy; MeV and meV are told apart by case, and no X-rays have either
    factor = None if measured.unit.strip() == "meV" else (_ENERGIES if quantity == "energy" else _LENGTHS).get(unit)
    return value * factor if factor is not None and value > 0 else None


def _pixels(measured: Measured | None, size: tuple[float, float] | None, axis: int) -> float | None:
    """A place on the detector in pixels: files have either these or lengths (NXdetector)."""
    if measured is None:
        return None
    if is_pixel(measured.unit):
        return measured.value
    return None if size is None else measured.value * _LENGTHS[measured.unit.strip().lower()] / size[axis]
