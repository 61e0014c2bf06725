"""Colormaps by the names of matplotlib and colorcet, from the catalogue of the package ``cmap``."""

import difflib
from functools import lru_cache

import numpy as np
from cmap import Colormap

from chunkserve.errors import BadRequest

_LONGEST = 80
"""Characters of an unknown name that are compared and repeated."""


@lru_cache(maxsize=256)
def palette(cmap: str, invert: bool = False) -> np.ndarray:
    """The colours of a colormap, lowest first: uint8 of shape (256, 3), read-only.

    Names are those of matplotlib; of colorcet plainly (``bmy``), where no other collection has the name, or after
    ``cet_`` or ``colorcet:`` (``cet_fire``); of other collections after theirs (``cmocean:thermal``). Case does not
    matter, ``_r`` at the end inverts. Transparency within a colormap is left out.

    Raises:
        BadRequest: No colormap has that name; the message has those that come near.
    """
    plain = cmap.removesuffix("_r")
    # called, not `lut()`: qualitative colormaps have fewer colours, which are to be repeated
    colours = Colormap(_qualified(plain))(np.linspace(0, 1, 256))[:, :3]
    table: np.ndarray = np.rint(colours * 255).astype(np.uint8)
    if invert != (plain != cmap):
        table = np.ascontiguousarray(table[::-1])
    table.setflags(write=False)
    return table


def _qualified(name: str) -> str:
    """The name with its collection, which the catalogue has only once."""
    catalogue = Colormap.catalog()
    for candidate in (name, f"colorcet:{name}", f"colorcet:{name.lower().removeprefix('cet_')}"):
        try:
            return catalogue.resolve(candidate)
        except KeyError:
            continue
    known = {key.lower(): key for key in catalogue}
    near = difflib.get_close_matches(name[:_LONGEST].lower(), known, n=5, cutoff=0.5)
    hint = (
        f"; did you mean {' or '.join(known[key] for key in near)}?"
        if near
        else "; names are those of matplotlib and colorcet"
    )
    raise BadRequest(f"no colormap is called {name[:_LONGEST]!r}{hint}")
