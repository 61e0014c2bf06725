"""Deep Zoom arithmetic: OpenSeadragon's levels, tiles that cover the image once, pixels from where they lie."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.errors import NotFound, Unsupported
from chunkserve.grid import whole
from chunkserve.render.deepzoom import DeepZoom, halved

images = st.builds(DeepZoom, st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 9))


def largest(array: np.ndarray) -> np.ndarray:
    """One halving of a picture, by the maximum; the last row and column may stand alone."""
    height, width = array.shape
    padded = np.full((height + height % 2, width + width % 2), -1, array.dtype)
    padded[:height, :width] = array
    return padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2).max(axis=(1, 3))


def pyramid(image: DeepZoom) -> list[np.ndarray]:
    levels = [np.random.default_rng(5).permutation(image.height * image.width).reshape(image.height, image.width)]
    for _ in range(image.levels - 1):
        levels.append(largest(levels[-1]))
    return levels


def test_the_descriptor_is_what_openseadragon_reads() -> None:
    text = DeepZoom(2048, 3001, 512, 4).descriptor("webp")
    root = ET.fromstring(text.encode())
    space = "{http://schemas.microsoft.com/deepzoom/2008}"
    assert root.tag == f"{space}Image"
    assert root.attrib == {"Format": "webp", "Overlap": "0", "TileSize": "512"}
    assert [(child.tag, child.attrib) for child in root] == [(f"{space}Size", {"Width": "3001", "Height": "2048"})]


@pytest.mark.parametrize(
    ("side", "top"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1023, 10), (1024, 10), (1025, 11), (2**40 + 1, 41)]
)
def test_the_top_level_is_the_logarithm_rounded_up(side: int, top: int) -> None:
    assert DeepZoom(side, 1, 256, 1).top == DeepZoom(1, side, 256, 1).top == top


@given(images)
def test_levels_end_with_a_single_pixel_and_begin_with_all(image: DeepZoom) -> None:
    assert image.shape(0) == (1, 1)
    assert image.shape(image.top) == (image.height, image.width)
    for level in range(image.top):
        # what OpenSeadragon computes: ceil(size * 0.5 ** (top - level))
        scale = 0.5 ** (image.top - level)
        assert image.shape(level) == tuple(int(np.ceil(n * scale)) for n in (image.height, image.width))
        assert image.shape(level) == halved(image.shape(level + 1), 1)


@given(images)
def test_tiles_cover_every_level_exactly_once(image: DeepZoom) -> None:
    for level in range(image.top + 1):
        seen = np.zeros(image.shape(level), int)
        rows, columns = image.grid(level)
        for row in range(rows):
            for column in range(columns):
                height, width = image.piece(level, row, column).shape
                assert 1 <= height <= image.tile
                assert 1 <= width <= image.tile
                y, x = row * image.tile, column * image.tile
                assert seen[y : y + height, x : x + width].shape == (height, width)
                seen[y : y + height, x : x + width] += 1
        assert (seen == 1).all()


@given(images)
def test_every_tile_is_made_of_the_pixels_it_shows(image: DeepZoom) -> None:
    levels = pyramid(image)
    wanted = levels[0]
    for level in range(image.top, -1, -1):
        rows, columns = image.grid(level)
        for row in range(rows):
            for column in range(columns):
                piece = image.piece(level, row, column)
                assert piece.box.clip(whole(levels[piece.level].shape)) == piece.box
                made = levels[piece.level][piece.box.slices()]
                for _ in range(piece.halvings):
                    made = largest(made)
                assert made.shape == piece.shape
                y, x = row * image.tile, column * image.tile
                assert (made == wanted[y : y + image.tile, x : x + image.tile]).all()
        wanted = largest(wanted)


@given(images)
def test_the_pyramid_is_used_as_far_as_it_goes(image: DeepZoom) -> None:
    for level in range(image.top + 1):
        piece = image.piece(level, 0, 0)
        assert piece.level + piece.halvings == image.top - level
        assert piece.level < image.levels
        assert not piece.halvings or piece.level == image.levels - 1


@pytest.mark.parametrize(
    ("level", "row", "column"), [(9, 0, 0), (-1, 0, 0), (8, 2, 0), (8, 0, 3), (8, -1, 0), (0, 0, 1)]
)
def test_what_lies_outside_is_not_found(level: int, row: int, column: int) -> None:
    image = DeepZoom(200, 250, 100, 3)
    assert image.piece(8, 1, 2).shape == (100, 50)
    with pytest.raises(NotFound):
        image.piece(level, row, column)


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0)])
def test_an_image_without_pixels_has_no_tiles(height: int, width: int) -> None:
    with pytest.raises(Unsupported, match="has no tiles"):
        DeepZoom(height, width, 256, 1)
