"""Picture files say what was put in: read back by Pillow, compared pixel by pixel."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from chunkserve.errors import BadRequest, Unsupported
from chunkserve.render.image import MEDIA, encode
from chunkserve.render.npy import npy
from chunkserve.render.palette import palette

PICTURES = ("png", "webp", "jpg")
TRANSPARENT = (0, 0, 0, 0)
tiles = hnp.arrays("u1", hnp.array_shapes(min_dims=2, max_dims=2, max_side=20))
colours = st.tuples(*[st.integers(0, 255)] * 4)


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def rgba(data: bytes) -> np.ndarray:
    return np.asarray(opened(data).convert("RGBA"))


def ramp(height: int = 40, width: int = 60) -> np.ndarray:
    """A smooth picture: what lossy formats are good at."""
    y, x = np.mgrid[:height, :width]
    return ((x / width + y / height) * 127).astype("u1")


@given(tiles, st.sampled_from(["gray", "viridis", "tab10"]), colours, st.data())
def test_a_png_is_the_palette_at_the_indices(
    indices: np.ndarray, cmap: str, colour: tuple[int, int, int, int], data: st.DataObject
) -> None:
    bad = data.draw(st.none() | hnp.arrays(bool, indices.shape))
    table = palette(cmap)
    found = rgba(encode(indices, bad, table, colour, "png"))
    good = np.ones(indices.shape, bool) if bad is None else ~bad
    assert (found[good][:, :3] == table[indices][good]).all()
    assert (found[good][:, 3] == 255).all()
    assert (found[~good] == colour).all()


@pytest.mark.parametrize("colours_used", [255, 256])
def test_a_png_holds_257_colours_if_it_must(colours_used: int) -> None:
    indices = (np.arange(1024) % colours_used).astype("u1").reshape(32, 32)
    bad = np.zeros((32, 32), bool)
    bad[-1, -3:] = True
    data = encode(indices, bad, palette("viridis"), (9, 8, 7, 6), "png")
    assert opened(data).mode == ("P" if colours_used == 255 else "RGBA")
    found = rgba(data)
    assert (found[~bad][:, :3] == palette("viridis")[indices][~bad]).all()
    assert (found[bad] == (9, 8, 7, 6)).all()


@pytest.mark.parametrize("suffix", PICTURES)
@pytest.mark.parametrize("colour", [TRANSPARENT, (200, 0, 0, 255)])
@pytest.mark.parametrize("holes", [False, True])
def test_what_is_around_a_part_of_a_picture_is_transparent(
    suffix: str, colour: tuple[int, int, int, int], holes: bool
) -> None:
    indices, bad = np.full((40, 60), 128, "u1"), None
    if holes:
        bad = np.zeros((40, 60), bool)
        bad[:16, :32] = True
    found = rgba(encode(indices, bad, palette("gray"), colour, suffix, (64, 96))).astype(int)
    assert found.shape == (64, 96, 4)
    part = rgba(encode(indices, bad, palette("gray"), colour, suffix)).astype(int)
    margin = 0 if suffix == "png" else 16  # lossy pictures are vague where colours meet
    near = np.abs(found[: 40 - margin, : 60 - margin] - part[: 40 - margin, : 60 - margin])
    assert np.median(near) <= (0 if suffix == "png" else 2)
    for beyond in (found[40 + margin // 2 :], found[:, 60 + margin // 2 :]):
        nothing = beyond[..., :3].max(axis=-1) <= 8 if suffix == "jpg" else beyond[..., 3] == 0
        assert nothing.all()


def test_a_png_without_holes_has_no_transparency() -> None:
    data = encode(ramp(), None, palette("jet"), TRANSPARENT, "png")
    assert b"tRNS" not in data
    assert opened(data).mode == "P"


def test_the_chunks_of_a_png_are_in_order_and_have_their_checksums() -> None:
    bad = ramp() > 250
    bad[0, 0] = True
    data = encode(ramp(), bad, palette("jet"), TRANSPARENT, "png")
    names, at = [], 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(body),)
        names.append(body[:4])
        at += 12 + size
    assert names == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]


@pytest.mark.parametrize("cmap", ["gray", "viridis"])
@pytest.mark.parametrize(("suffix", "kind"), [("webp", "WEBP"), ("jpg", "JPEG")])
def test_lossy_pictures_come_near(cmap: str, suffix: str, kind: str) -> None:
    data = encode(ramp(), None, palette(cmap), TRANSPARENT, suffix)
    assert opened(data).format == kind
    away = np.abs(rgba(data)[..., :3].astype(int) - palette(cmap)[ramp()])
    assert away.mean() < 4
    assert (rgba(data)[..., 3] == 255).all()


@pytest.mark.parametrize("suffix", PICTURES)
@pytest.mark.parametrize("cmap", ["gray", "jet"])
@pytest.mark.parametrize("colour", [(255, 0, 0, 255), (255, 255, 255, 255), (200, 100, 0, 128), TRANSPARENT])
def test_bad_pixels_have_their_colour_in_every_format(
    suffix: str, cmap: str, colour: tuple[int, int, int, int]
) -> None:
    bad = np.zeros((48, 48), bool)
    bad[:, 24:] = True
    found = rgba(encode(np.full((48, 48), 128, "u1"), bad, palette(cmap), colour, suffix)).astype(int)
    inside, outside = found[:, 32:], found[:, :16]
    assert np.abs(outside - [*palette(cmap)[128], 255]).max() < 12
    if suffix == "jpg":  # over black
        assert np.abs(inside - [*(c * colour[3] / 255 for c in colour[:3]), 255]).max() < 12
    else:
        assert (inside[..., 3] == colour[3]).all()
        if colour[3]:
            assert np.abs(inside - colour).max() < 12


def test_grey_jpegs_have_one_channel_unless_a_colour_is_in_them() -> None:
    bad = ramp() < 9
    assert opened(encode(ramp(), bad, palette("gray"), TRANSPARENT, "jpg")).mode == "L"
    assert opened(encode(ramp(), bad, palette("gray"), (255, 0, 0, 255), "jpg")).mode == "RGB"
    assert opened(encode(ramp(), None, palette("jet"), TRANSPARENT, "jpg")).mode == "RGB"


@pytest.mark.parametrize("suffix", PICTURES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (257, 3)])
def test_tiles_at_edges_keep_their_extent(suffix: str, shape: tuple[int, int]) -> None:
    bad = np.zeros(shape, bool)
    bad[0, 0] = True
    for mask in (None, bad):
        data = encode(np.full(shape, 7, "u1"), mask, palette("magma"), TRANSPARENT, suffix)
        assert opened(data).size == shape[::-1]


@pytest.mark.parametrize("suffix", PICTURES)
def test_equal_input_gives_equal_bytes_and_is_not_changed(suffix: str) -> None:
    indices, bad = ramp(), ramp() > 200
    table = palette("viridis")
    for array in (indices, bad):
        array.setflags(write=False)
    first = encode(indices, bad, table, (1, 2, 3, 4), suffix)
    assert first == encode(indices.copy("F"), bad.copy("F"), table.copy(), (1, 2, 3, 4), suffix)
    assert first != encode(255 - indices, bad, table, (1, 2, 3, 4), suffix)


def test_other_formats_are_refused() -> None:
    with pytest.raises(BadRequest, match="pictures are png, webp, jpg, not 'gif'"):
        encode(ramp(), None, palette("gray"), TRANSPARENT, "gif")


def test_every_format_has_a_media_type() -> None:
    assert set(MEDIA) == {*PICTURES, "npy"}
    for suffix in PICTURES:
        kind = opened(encode(ramp(), None, palette("gray"), TRANSPARENT, suffix)).get_format_mimetype()
        assert MEDIA[suffix] == kind


@pytest.mark.parametrize("name", ["?", "i1", ">u2", "<i4", ">i8", "<f2", ">f4", "<f8", "<c8", "S3", "<U2", "<M8[s]"])
def test_npy_files_hold_the_values_little_endian_in_c_order(name: str) -> None:
    values = np.arange(24).reshape(4, 6).astype(name)
    for view in (values, values.T, values[::2, ::-1], values[0, :0], values[0, 0, ...]):
        data = npy(view)
        assert data[:8] == b"\x93NUMPY\x01\x00"
        found = np.load(io.BytesIO(data), allow_pickle=False)
        assert found.flags.c_contiguous
        assert found.dtype == values.dtype.newbyteorder("<")
        assert found.dtype.byteorder != ">"
        assert found.shape == view.shape
        assert (found == view).all()


def test_npy_files_keep_nan_and_infinity() -> None:
    values = np.array([np.nan, np.inf, -0.0])
    assert np.load(io.BytesIO(npy(values))).tobytes() == values.tobytes()


def test_values_of_variable_length_have_no_npy_file() -> None:
    with pytest.raises(Unsupported, match="variable length"):
        npy(np.array(["a", "bc"], object))
