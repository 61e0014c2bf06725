"""The arithmetic of Deep Zoom images (DZI): what OpenSeadragon asks for, and where it lies in a pyramid.

Deep Zoom counts levels from a single pixel (0) to full resolution (``ceil(log2(longer side))``); a pyramid counts from
full resolution (0), each level half the one before, rounded up. Tiles do not overlap; those at the far edges are cut.
https://learn.microsoft.com/en-us/previous-versions/windows/silverlight/dotnet-windows-silverlight/cc645077(v=vs.95)
"""

from dataclasses import dataclass

from chunkserve.errors import NotFound, Unsupported
from chunkserve.grid import Box, Shape, chunk_box, grid_shape, whole

_DESCRIPTOR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="{format}" Overlap="0" TileSize="{tile}">'
    '<Size Width="{width}" Height="{height}"/></Image>\n'
)


def halved(shape: Shape, times: int) -> Shape:
    """Extents after halving, rounded up each time."""
    return tuple(-(-n >> times) for n in shape)


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a tile's pixels come from: ``box`` (y, x) of pyramid level ``level``, halved ``halvings`` times more."""

    level: int
    halvings: int
    box: Box

    @property
    def shape(self) -> Shape:
        """Height and width of the tile."""
        return halved(self.box.shape, self.halvings)


@dataclass(frozen=True, slots=True)
class DeepZoom:
    """An image of ``height`` by ``width`` pixels in tiles of ``tile`` pixels, whose pyramid has ``levels`` levels.

    Raises:
        Unsupported: There are no pixels.
    """

    height: int
    width: int
    tile: int
    levels: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise Unsupported(f"an image of {self.height} by {self.width} pixels has no tiles")

    @property
    def top(self) -> int:
        """The number of the level at full resolution."""
        return (max(self.height, self.width) - 1).bit_length()

    def descriptor(self, suffix: str) -> str:
        """The XML document, for tiles with that suffix: ``png``, ``webp`` or ``jpg``."""
        return _DESCRIPTOR.format(format=suffix, tile=self.tile, width=self.width, height=self.height)

    def shape(self, level: int) -> Shape:
        """Height and width in pixels.

        Raises:
            NotFound: There is no such level.
        """
        if not 0 <= level <= self.top:
            raise NotFound(f"level {level} of 0 to {self.top}")
        return halved((self.height, self.width), self.top - level)

    def grid(self, level: int) -> Shape:
        """Rows and columns of tiles."""
        return grid_shape(self.shape(level), (self.tile, self.tile))

    def piece(self, level: int, row: int, column: int) -> Piece:
        """Where a tile comes from. Levels coarser than the pyramid's coarsest are made from that one.

        Raises:
            NotFound: There is no such tile.
        """
        box = chunk_box((row, column), (self.tile, self.tile)).clip(whole(self.shape(level)))
        if box is None:
            raise NotFound(f"tile in row {row}, column {column} of level {level}")
        halvings = max(0, self.top - level - (self.levels - 1))
        source = self.top - level - halvings
        limit = whole(halved((self.height, self.width), source))
        finer = Box(tuple(a << halvings for a in box.start), tuple(b << halvings for b in box.stop)).clip(limit)
        assert finer is not None  # halving rounds up: the last pixel always has something beneath it
        return Piece(source, halvings, finer)
