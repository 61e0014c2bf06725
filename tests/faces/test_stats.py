"""Counts of ``/stats`` against numpy: every element once, by the first rule that applies; null is not known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from tests.conftest import Serve
from tests.faces.conftest import ask

SHAPE = (3, 600, 640)
ONES = 2**32 - 1
COUNTS = ("masked", "sentinel", "saturated", "underload", "nan", "infinite", "empty", "valid")


def detector(path: Path, frames: np.ndarray, **beside: object) -> None:
    with h5py.File(path / "a.h5", "w") as file:
        group = file.create_group("det")
        group.attrs["NX_class"] = "NXdetector"
        group.create_dataset("x", data=frames, chunks=(1, *frames.shape[1:]), **hdf5plugin.Bitshuffle())
        for name, value in beside.items():
            group[name] = value


def frames_with_everything() -> tuple[np.ndarray, np.ndarray]:
    """Counts with values of each kind, overlapping; and a mask over some of each."""
    rng = np.random.default_rng(7)
    frames = rng.integers(0, 50_000, SHAPE, "u4")
    for value in (ONES, 60_000, 50_001, 50_000, 2):
        frames[rng.random(SHAPE) < 0.01] = value
    mask = np.zeros(SHAPE[1:], "u4")
    mask[100:120], mask[:, 7] = 2, 1
    return frames, mask


def counted(document: dict[str, Any]) -> dict[str, int | None]:
    return {name: document[name] for name in COUNTS}


Ask = Callable[[str], dict[str, Any]]


@pytest.fixture
def stats(serve: Serve, tmp_path: Path) -> Ask:
    """Ask a server over this test's folder, started when first asked."""
    base: list[str] = []

    def get(query: str = "", name: str = "det/x") -> dict[str, Any]:
        if not base:
            base.append(serve(tmp_path))
        reply = ask(f"{base[0]}/stats/a.h5/{name}{query}")
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    return get


@pytest.mark.parametrize("query", ["?level=0", ""], ids=["level 0", "sample"])
def test_masked_saturated_and_underload_are_told_apart(tmp_path: Path, stats: Ask, query: str) -> None:
    frames, mask = frames_with_everything()
    detector(tmp_path, frames, pixel_mask=mask, saturation_value=50_000, underload_value=3)
    document = stats(query)
    if not query:  # all chunks are within what is looked at: the source voxels at the centres of the coarsest level
        step = next(f for f in (2, 4, 8, 16) if document["count"] == 3 * -(-600 // f) * -(-640 // f))
        frames, mask = frames[:, step // 2 :: step, step // 2 :: step], mask[step // 2 :: step, step // 2 :: step]
    masked = np.broadcast_to(mask != 0, frames.shape)
    high, low = frames > 50_000, frames < 3
    valid = ~masked & ~high & ~low
    assert document["sampled"] is not bool(query)
    assert document["count"] == frames.size
    assert counted(document) == {
        "masked": masked.sum(), "sentinel": None,
        "saturated": (~masked & high).sum(), "underload": (~masked & low).sum(),
        "nan": 0, "infinite": 0, "empty": 0, "valid": valid.sum(),
    }  # fmt: skip
    assert (document["values"]["min"], document["values"]["max"]) == (frames[valid].min(), frames[valid].max())
    assert document["values"]["sum"] == frames[valid].sum(dtype="i8")


def test_all_ones_without_a_mask_are_dead_or_saturated(tmp_path: Path, stats: Ask) -> None:
    frames, _ = frames_with_everything()
    detector(tmp_path, frames)
    assert counted(stats("?level=0")) == {
        "masked": 0, "sentinel": (frames == ONES).sum(), "saturated": None, "underload": None,
        "nan": 0, "infinite": 0, "empty": 0, "valid": (frames != ONES).sum(),
    }  # fmt: skip


def test_all_ones_are_saturated_where_a_mask_names_no_dead_pixel(tmp_path: Path, stats: Ask) -> None:
    frames, mask = frames_with_everything()
    detector(tmp_path, frames, pixel_mask=mask * 0)
    found = stats("?level=0")
    assert (found["masked"], found["sentinel"], found["saturated"]) == (0, None, (frames == ONES).sum())


def test_fill_values_nan_and_infinities_are_told_apart(tmp_path: Path, stats: Ask) -> None:
    rng = np.random.default_rng(8)
    values = rng.random((700, 900)).astype("f4")
    for value in (-999, np.nan, np.inf, -np.inf):
        values[rng.random(values.shape) < 0.05] = value
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = values
        file["x"].attrs["_FillValue"] = np.float32(-999)
    found = stats("?level=0", "x")
    assert counted(found) == {
        "masked": (values == -999).sum(), "sentinel": None, "saturated": None, "underload": None,
        "nan": np.isnan(values).sum(), "infinite": np.isinf(values).sum(), "empty": 0,
        "valid": (np.isfinite(values) & (values != -999)).sum(),
    }  # fmt: skip
    assert found["invalid"] == (~np.isfinite(values)).sum()


def test_coarser_levels_say_how_many_voxels_are_empty_and_not_why(tmp_path: Path, stats: Ask) -> None:
    frames, mask = frames_with_everything()
    frames[:, 200:300] = ONES
    detector(tmp_path, frames, pixel_mask=mask, saturation_value=50_000)
    valid = (mask == 0) & (frames <= 50_000)
    cells = valid.reshape(3, 300, 2, 320, 2).any((2, 4))
    found = stats("?level=1")
    assert counted(found) == dict.fromkeys(COUNTS) | {
        "infinite": 0, "empty": (~cells).sum(), "valid": cells.sum(),
    }  # fmt: skip
    assert found["invalid"] is None


def test_coarser_levels_of_plain_floats_count_nan(tmp_path: Path, stats: Ask) -> None:
    values = np.random.default_rng(9).random((600, 700)).astype("f4")
    values[100:131] = np.nan
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = values
    found = stats("?level=1", "x")
    assert (found["nan"], found["masked"], found["empty"], found["saturated"]) == (15 * 350, 0, 0, None)
    assert found["valid"] == found["count"] - 15 * 350
