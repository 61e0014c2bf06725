"""Statistics against numpy's: whole, in blocks, of every type, with holes."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunkserve.errors import Unsupported
from chunkserve.pyramid.distribution import KEPT, MOST, Distribution
from chunkserve.pyramid.measure import Measure
from chunkserve.pyramid.statistics import BINS, PERCENTILES, Kind, Statistics, merged

DTYPES = ["?", "i1", "u1", "<i2", ">u2", "<i4", ">u4", "<i8", "<u8", ">u8", "<f2", "<f4", ">f4", "<f8"]
arrays = st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(d, st.integers(0, 60)))


def measure(statistics: Statistics) -> Measure:
    assert statistics.values is not None
    return statistics.values


def exact(numbers: list[int]) -> tuple[float, float]:
    """Mean and squared distances of integers, by integers alone."""
    n, total = len(numbers), sum(numbers)
    return total / n, sum((v * n - total) ** 2 for v in numbers) / n**2


@given(arrays, st.data())
def test_each_element_is_counted_once(values: np.ndarray, data: st.DataObject) -> None:
    kinds = data.draw(hnp.arrays("u1", values.shape, elements=st.sampled_from([0, *Kind])))
    found = Statistics.from_block(values, kinds).to_json()
    kept = values[kinds == 0].astype("f8") if values.dtype.kind == "f" else values[kinds == 0]
    wanted = {
        "count": values.size,
        "nan": int(np.isnan(kept).sum()),
        "infinite": int(np.isinf(kept).sum()),
        "valid": int(np.isfinite(kept).sum()),
    } | {kind.name.lower(): int((kinds == kind).sum()) for kind in Kind}
    assert {name: found[name] for name in wanted} == wanted
    assert found["invalid"] == wanted["nan"] + wanted["infinite"]
    assert 2 * wanted["count"] == sum(wanted.values())
    assert (found["values"] is None) == (wanted["valid"] == 0)


def test_counts_that_nobody_can_know_are_null() -> None:
    found = Statistics.from_block(np.float32([1, np.nan, 3]), np.uint8([0, 0, Kind.EMPTY]))
    told = found.to_json({Kind.EMPTY}, nan_known=False)
    assert [name for name, value in told.items() if value is None] == [
        "invalid", "nan", "masked", "sentinel", "saturated", "underload",
    ]  # fmt: skip
    assert (told["count"], told["valid"], told["empty"]) == (3, 1, 1)


@pytest.mark.parametrize("name", DTYPES)
def test_numbers_are_those_of_numpy(name: str) -> None:
    random = np.random.default_rng(1)
    values = (random.normal(3, 40, (50, 70)).clip(-99, 99) if "u" not in name else random.poisson(9, (50, 70))).astype(
        name
    )
    found = measure(Statistics.from_block(values))
    wide = values.astype("f8")
    assert (found.min, found.max) == (wide.min(), wide.max())
    assert found.min_positive == wide[wide > 0].min()
    assert found.mean == pytest.approx(wide.mean(), rel=1e-12)
    assert found.std == pytest.approx(wide.std(), rel=1e-12)
    assert found.sum == pytest.approx(wide.sum(), rel=1e-12)
    assert found.distribution.percentiles(PERCENTILES) == pytest.approx(np.percentile(wide, PERCENTILES), rel=1e-12)


@given(arrays, st.lists(st.integers(0, 60), max_size=4), st.randoms())
def test_blocks_merged_in_any_order_are_the_whole(values: np.ndarray, cuts: list[int], random) -> None:
    blocks = [Statistics.from_block(block) for block in np.split(values, sorted(cuts))]
    random.shuffle(blocks)
    with np.errstate(all="ignore"):
        parts, whole = merged(blocks).to_json(), Statistics.from_block(values).to_json()
    one, other = parts.pop("values"), whole.pop("values")
    assert parts == whole
    if one is None or other is None:
        assert one is other
        return
    for name in ("min", "max", "min_positive", "percentiles", "histogram", "exact"):
        assert one[name] == other[name], name
    if values.dtype.kind in "biu":
        assert one["sum"] == other["sum"] == sum(map(int, values))
        assert one["mean"] == other["mean"]
    scale = np.abs(values[np.isfinite(values)].astype("f8")).max()
    if scale < 1e150:  # beyond, squares are infinite
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-12 * scale)
        assert one["std"] == pytest.approx(other["std"], abs=1e-7 * scale)


@given(hnp.arrays(st.sampled_from(["<i8", "<u8", ">u4", "i1"]), st.integers(1, 40)))
def test_moments_of_integers_are_exact_at_their_limits(values: np.ndarray) -> None:
    found = measure(Statistics.from_block(values))
    numbers = [int(v) for v in values]
    mean, squares = exact(numbers)
    assert (found.sum, found.mean) == (sum(numbers), mean)
    assert (found.min, found.max) == (min(numbers), max(numbers))
    assert found.squares == pytest.approx(squares, rel=1e-9, abs=1e-9 * max(map(abs, numbers)) ** 2 * 2**-40)


@pytest.mark.parametrize("name", ["<i8", ">u8", "<u4", "<i4"])
def test_sums_of_extreme_integers_do_not_wrap(name: str) -> None:
    limits = np.iinfo(name)
    for values in ([limits.max] * 5, [limits.min] * 5, [limits.max, limits.max - 1, limits.min]):
        found = measure(merged(Statistics.from_block(np.array(values, name)) for _ in range(2)))
        assert (found.sum, found.mean) == (2 * sum(values), sum(values) / len(values))


def test_merging_loses_no_deviation_beside_a_large_mean() -> None:
    """Sums of squares would: 1e9 squared has no room for a deviation of 1 in float64."""
    values = 1e9 + np.random.default_rng(2).normal(0, 1, 20_000)
    found = measure(merged(Statistics.from_block(block) for block in np.split(values, 100)))
    assert found.std == pytest.approx(values.std(), rel=1e-6)


@pytest.mark.parametrize("values", [[], [np.nan, np.inf, -np.inf]])
def test_nothing_valid_has_no_numbers(values: list[float]) -> None:
    found = Statistics.from_block(np.array(values, "f4"))
    assert found.values is None
    assert found.to_json()["values"] is None
    assert found.merge(Statistics.from_block(np.float32([4]))).to_json()["values"]["mean"] == 4
    assert Statistics.from_block(np.float32([4])).merge(found).to_json()["count"] == 1 + len(values)


def test_nothing_positive_has_no_logarithmic_window() -> None:
    found = Statistics.from_block(np.array([-3, 0, -1], "i4")).to_json()["values"]
    assert found is not None
    assert found["min_positive"] is None
    assert found["windows"]["log"] is None
    assert found["windows"]["minmax"] == [-3, 0]


def test_windows_suggest_contrasts() -> None:
    values = np.arange(1001.0)
    values[-1] = 1e6
    windows = measure(Statistics.from_block(values)).windows()
    assert windows["minmax"] == (0, 1e6)
    assert windows["robust"] == pytest.approx(np.percentile(values, (1, 99)))
    assert windows["stddev3"] == pytest.approx((0, values.mean() + 3 * values.std()))
    assert windows["log"] == (1, 1e6)


@given(arrays)
def test_documents_are_json_without_nan(values: np.ndarray) -> None:
    document = Statistics.from_block(values).to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_what_float64_cannot_hold_is_null() -> None:
    document = Statistics.from_block(np.array([1.7e308, 1.7e308, -1.7e308])).to_json()["values"]
    assert document is not None
    assert (document["sum"], document["std"], document["max"]) == (None, None, 1.7e308)
    json.dumps(document, allow_nan=False)


@given(arrays)
def test_histograms_count_every_valid_element_where_it_belongs(values: np.ndarray) -> None:
    document = Statistics.from_block(values).to_json()
    if document["values"] is None:
        return
    edges, counts = document["values"]["histogram"]["edges"], document["values"]["histogram"]["counts"]
    assert len(edges) == len(counts) + 1 <= BINS + 1
    assert sum(counts) == document["valid"]
    assert all(a <= b for a, b in pairwise(edges))
    finite = values[np.isfinite(values)]
    numbers = [v.item() for v in finite]
    last = len(counts) - 1
    for i, count in enumerate(counts):
        if count:
            top = math.inf if i == last else edges[i + 1]
            assert count == sum(edges[i] <= v < top for v in numbers)
    assert edges[0] == min(numbers)
    assert edges[-1] == max(numbers) if values.dtype.kind == "f" else edges[-1] > max(numbers)


@pytest.mark.parametrize("name", ["i1", "<u2", "<i4", "<i8"])
def test_integers_of_small_range_have_a_bin_each(name: str) -> None:
    values = np.random.default_rng(3).integers(-50 if "i" in name else 0, 60, 5000).astype(name)
    histogram = Statistics.from_block(values).to_json()["values"]["histogram"]
    assert histogram["edges"] == list(range(values.min(), values.max() + 2))
    assert histogram["counts"] == np.bincount(values - int(values.min())).tolist()


def test_bins_of_integers_hold_equally_many_of_them() -> None:
    values = np.arange(10_000, dtype="u2")
    histogram = Statistics.from_block(values).to_json()["values"]["histogram"]
    assert set(np.diff(histogram["edges"])) == {10}
    assert set(histogram["counts"]) == {10}


def test_sixteen_bits_stay_exact_however_many_blocks() -> None:
    random = np.random.default_rng(4)
    blocks = [random.integers(0, 65536, 40_000).astype("u2") for _ in range(5)]
    found = measure(merged(map(Statistics.from_block, blocks)))
    assert found.distribution.exact
    wanted = np.percentile(np.concatenate(blocks), PERCENTILES)
    assert found.distribution.percentiles(PERCENTILES) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("tied", [0.0, 0.6])
def test_percentiles_of_many_floats_are_near_in_rank_and_bounded_in_memory(tied: float) -> None:
    random = np.random.default_rng(5)
    values = random.lognormal(0, 2, (30, 20_000))
    values[random.random(values.shape) < tied] = 1.0
    found = measure(merged(map(Statistics.from_block, values)))
    kept = found.distribution
    assert not kept.exact
    assert len(kept.values) <= MOST
    assert kept.count == values.size == found.count
    inorder = np.sort(values, axis=None)
    for percent, value in zip(PERCENTILES, kept.percentiles(PERCENTILES), strict=True):
        low, high = (np.searchsorted(inorder, value, side) / values.size * 100 for side in ("left", "right"))
        assert low - 0.03 <= percent <= high + 0.03


def test_thinning_keeps_what_occurs_often() -> None:
    values = np.arange(2.0 * MOST)
    weights = np.ones(len(values), np.int64)
    weights[777] = 10**6
    thin = Distribution(values, weights).bounded()
    assert len(thin.values) <= KEPT
    assert thin.weights.sum() == weights.sum()
    assert abs(int(thin.weights[thin.values == 777][0]) - 10**6) < 200
    assert (np.diff(thin.values) > 0).all()
    assert not thin.exact


@pytest.mark.parametrize("values", [np.zeros(3, complex), np.array(["a"]), np.zeros(2, "m8[s]")])
def test_what_is_not_a_real_number_has_no_statistics(values: np.ndarray) -> None:
    with pytest.raises(Unsupported, match="have no statistics"):
        Statistics.from_block(values)
