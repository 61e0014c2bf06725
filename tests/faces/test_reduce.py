"""Reductions over HTTP are those of numpy."""

import io
import json
import time
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np
import pytest
import tifffile

from tests.faces.conftest import Site, StartSite, damage
from tests.faces.messages import value

RNG = np.random.default_rng(5)
STACK = RNG.integers(0, 5000, (30, 80, 70)).astype("u2")
FLOATS = RNG.normal(3, 2, (500, 900)).astype(">f4")
HOLES = np.where(RNG.random((60, 50)) < 0.1, np.nan, RNG.random((60, 50)))
COMPLEX = (RNG.random((40, 30)) + 1j * RNG.random((40, 30))).astype("c8")


def write(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("stack", data=STACK, chunks=(4, 33, 70), compression="gzip")
        file["floats"] = FLOATS
        file["holes"] = HOLES
        file["complex"] = COMPLEX
        file["bools"] = STACK[0] > 2500
        file["large"] = np.full((3, 4), 2**62, "i8")
        file["scalar"] = 4
        file["empty"] = np.zeros((0, 3), "i4")
        file["null"] = h5py.Empty("i4")
        file["text"] = ["a"]
        file["record"] = np.array([(1, b"x"), (5, b"y")], [("n", "<i4"), ("t", "S1")])
        file["enum"] = np.array([1, 5, 5], h5py.enum_dtype({"A": 1, "B": 5}, "i2"))
        marked = file.create_dataset("marked", data=STACK.astype("i4"), chunks=(1, 80, 70))
        marked[:, 5, :] = -9
        marked.attrs["_FillValue"] = np.int32(-9)
        file.create_dataset("damaged", data=STACK, chunks=(1, 80, 70), fletcher32=True)
        file.create_dataset("image", data=RNG.integers(5, 60000, (1500, 1100)).astype("u2"), chunks=(300, 1100))
    damage(path, "damaged", 25, 10)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    folder = tmp_path_factory.mktemp("reduce")
    write(folder / "run.h5")
    return start_site(folder)


def document(site: Site, query: str) -> Any:
    reply = site.ask(f"/reduce/run.h5/{query}")
    assert reply.status == 200, reply.body
    return msgpack.unpackb(reply.body)


def reduced(site: Site, query: str) -> dict[str, np.ndarray]:
    found = document(site, query)
    results = {name: value(result) for name, result in found["results"].items() if name != "histogram"}
    assert all(list(result.shape) == found["shape"] for result in results.values())
    return results


AXES: list[tuple[int, ...] | None] = [None, (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2), (-1,)]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("sel", ["", "3:20:2,:,[1,5,69]", "::9,::9"])
def test_integers_are_reduced_as_by_numpy(here: Site, axes: tuple[int, ...] | None, sel: str) -> None:
    picked = STACK[eval(f"np.s_[{sel}]")] if sel else STACK
    axis = "" if axes is None else f"&axis={','.join(map(str, axes))}"
    found = reduced(here, f"stack?op=sum,mean,std,min,max,count&sel={sel}{axis}")
    for name in ("sum", "min", "max"):
        expected = getattr(picked, name)(axis=axes)
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype
    np.testing.assert_allclose(found["mean"], picked.mean(axis=axes), rtol=1e-13)
    np.testing.assert_allclose(found["std"], picked.std(axis=axes), rtol=1e-11)
    assert (found["count"] == picked.size // max(1, found["count"].size)).all()


def test_dropped_axes_are_gone_and_axes_are_numbered_as_in_the_dataset(here: Site) -> None:
    found = document(here, "stack?op=max&sel=:,7&axis=2")
    assert found["axes"] == [0]
    np.testing.assert_array_equal(value(found["results"]["max"]), STACK[:, 7].max(1))
    np.testing.assert_array_equal(reduced(here, "stack?op=max&sel=:,7&axis=1")["max"], STACK[:, 7])


@pytest.mark.parametrize("axes", [None, (0,), (1,)])
def test_floats_are_summed_in_double_precision(here: Site, axes: tuple[int, ...] | None) -> None:
    axis = "" if axes is None else f"&axis={axes[0]}"
    found = reduced(here, f"floats?op=sum,mean,std,min,max{axis}")
    wide = FLOATS.astype("f8")
    for name in ("sum", "mean", "std"):
        assert found[name].dtype == "f8"
        np.testing.assert_allclose(found[name], getattr(wide, name)(axis=axes), rtol=1e-11)
    for name in ("min", "max"):
        assert found[name].dtype == "f4"
        np.testing.assert_array_equal(found[name], getattr(FLOATS, name)(axis=axes))


def test_nan_spreads_unless_it_is_left_out(here: Site) -> None:
    found = reduced(here, "holes?op=sum,mean,std,min,max&axis=1")
    for name, values in found.items():
        expected = getattr(np, name)(HOLES, axis=1)
        np.testing.assert_allclose(values, expected, rtol=1e-12)
    valid = reduced(here, "holes?op=sum,mean,min,count&valid=1")
    assert valid["count"] == np.isfinite(HOLES).sum()
    np.testing.assert_allclose(valid["sum"], np.nansum(HOLES))
    np.testing.assert_allclose(valid["mean"], np.nanmean(HOLES))
    assert valid["min"] == np.nanmin(HOLES)


def test_fill_values_are_no_measurement(here: Site) -> None:
    masked = np.ma.masked_equal(STACK.astype("i4"), -9)
    masked[:, 5, :] = np.ma.masked
    found = reduced(here, "marked?op=sum,min,mean,count&valid=1&axis=0,2")
    assert np.isnan(found["min"][5])
    assert found["count"][5] == 0
    assert found["sum"].tolist() == masked.sum((0, 2)).filled(0).tolist()
    np.testing.assert_allclose(np.delete(found["mean"], 5), np.delete(masked.mean((0, 2)), 5), rtol=1e-13)
    assert reduced(here, "marked?op=min")["min"] == -9
    strided = reduced(here, "marked?op=count&valid=1&sel=0,::5,0:10")["count"]
    assert strided == (16 - 1) * 10


def test_other_numbers(here: Site) -> None:
    found = reduced(here, "complex?op=sum,mean,std&axis=0")
    np.testing.assert_allclose(found["mean"], COMPLEX.astype("c16").mean(0))
    np.testing.assert_allclose(found["std"], COMPLEX.astype("c16").std(0))
    flags = reduced(here, "bools?op=sum,mean,min,max")
    assert (flags["sum"], flags["min"], flags["max"]) == ((STACK[0] > 2500).sum(), False, True)
    assert reduced(here, "scalar?op=sum,std")["sum"] == 4
    assert reduced(here, "record?op=max&field=n")["max"] == 5
    assert reduced(here, "enum?op=sum")["sum"] == 11
    assert reduced(here, "empty?op=sum,count&axis=0")["sum"].tolist() == [0, 0, 0]
    assert reduced(here, "empty?op=max&axis=1")["max"].shape == (0,)


@pytest.mark.parametrize("parameters", ["bins=10", "bins=7&range=100,2000.5", "bins=1", "bins=300&range=-5,5"])
@pytest.mark.parametrize("dataset", ["stack", "floats", "bools"])
def test_histograms_are_those_of_numpy(here: Site, dataset: str, parameters: str) -> None:
    array = {"stack": STACK, "floats": FLOATS, "bools": (STACK[0] > 2500).view("u1")}[dataset]
    given = dict(pair.split("=") for pair in parameters.split("&"))
    between = tuple(map(float, given["range"].split(","))) if "range" in given else None
    counts, edges = np.histogram(array.astype(array.dtype.newbyteorder("=")), int(given["bins"]), between)
    found = document(here, f"{dataset}?op=histogram&{parameters}")["results"]["histogram"]
    np.testing.assert_array_equal(value(found["counts"]), counts)
    np.testing.assert_array_equal(value(found["edges"]), edges)


def test_a_level_is_reduced_like_a_dataset(here: Site) -> None:
    with h5py.File(here.folder / "run.h5") as file:
        image = file["image"][...]
    finer = image.astype("f8").reshape(750, 2, 550, 2).mean((1, 3))
    found = reduced(here, "image?op=mean,max,count&level=1")
    assert found["count"] == finer.size
    np.testing.assert_allclose(found["mean"], finer.mean(), atol=0.5)
    np.testing.assert_allclose(found["max"], finer.max(), atol=0.5)


def test_extremes_of_a_dataset_whose_levels_are_there_are_known(tmp_path: Path, start_site: StartSite) -> None:
    write(tmp_path / "run.h5")
    site = start_site(tmp_path)
    with h5py.File(tmp_path / "run.h5") as file:
        image = file["image"][...]
    query = "image?op=min,max,count"
    assert document(site, query)["source"] == "elements"
    levels = json.loads(site.ask("/ome/run.h5/image/zarr.json").body)["attributes"]["ome"]["multiscales"][0]["datasets"]
    last = len(levels) - 1
    site.ask(f"/slice/run.h5/image?level={last}")
    found = document(site, "image?op=max,min,count")
    assert found["source"] == "levels"
    assert value(found["results"]["min"]) == image.min()
    assert value(found["results"]["max"]) == image.max()
    assert value(found["results"]["max"]).dtype == "u2"
    assert value(found["results"]["count"]) == image.size


def test_json_has_plain_numbers(here: Site) -> None:
    reply = here.ask("/reduce/run.h5/holes?op=mean,max&axis=0&format=json")
    assert reply.headers["content-type"] == "application/json"
    found = json.loads(reply.body)["results"]
    assert len(found["mean"]["values"]) == 50
    assert "NaN" in found["max"]["values"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("stack", 400), ("stack?op=median", 400), ("stack?op=sum&axis=3", 400), ("stack?op=sum&axis=0,0", 400),
        ("stack?op=sum&axis=0,-3", 400), ("stack?op=sum&axis=x", 400), ("stack?op=histogram&axis=0", 400),
        ("stack?op=histogram&bins=0", 400), ("stack?op=histogram&bins=99999", 400),
        ("stack?op=histogram&range=5", 400), ("stack?op=histogram&range=5,1", 400), ("holes?op=histogram", 400),
        ("stack?op=histogram&range=nan,1", 400), ("stack?op=sum&valid=2", 400), ("stack?op=sum&sel=99", 400),
        ("text?op=sum", 400), ("record?op=sum", 400), ("record?op=sum&field=t", 400), ("complex?op=max", 400),
        ("complex?op=sum&valid=1", 400), ("large?op=sum", 400), ("null?op=sum", 400), ("empty?op=max", 400),
        ("nothing?op=sum", 404), ("stack?op=sum&level=9", 404), ("damaged?op=sum", 502),
        ("damaged?op=histogram", 502), ("stack?op=sum&v=1", 410),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused(here: Site, query: str, status: int) -> None:
    reply = here.ask(f"/reduce/run.h5/{query}")
    assert reply.status == status, reply.body
    assert json.loads(reply.body)["status"] == status


def test_parts_without_damage_can_be_reduced(here: Site) -> None:
    assert reduced(here, "damaged?op=sum&sel=0:25")["sum"] == STACK[:25].sum()
    assert reduced(here, "large?op=sum&sel=0,0")["sum"] == 2**62


def test_more_than_may_be_decoded_is_refused_with_advice(tmp_path: Path, start_site: StartSite) -> None:
    write(tmp_path / "run.h5")
    site = start_site(tmp_path, max_reduce_bytes="200KiB")
    reply = site.ask("/reduce/run.h5/stack?op=sum")
    assert reply.status == 413
    assert b"max_reduce_bytes" in reply.body
    assert b"ask for a level" in reply.body
    assert site.ask("/reduce/run.h5/stack?op=sum&sel=0:4").status == 200


def test_the_same_question_has_the_same_answer(here: Site) -> None:
    first = here.ask("/reduce/run.h5/floats?op=sum,std,histogram")
    assert here.ask("/reduce/run.h5/floats?op=sum,std,histogram").body == first.body
    again = here.ask("/reduce/run.h5/floats?op=sum,std,histogram", If_None_Match=first.headers["etag"])
    assert again.status == 304


def test_a_file_that_is_written_is_reduced_but_not_kept(tmp_path: Path, start_site: StartSite) -> None:
    site = start_site(tmp_path, settle=1000)
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["x"] = np.arange(10)
    time.sleep(0.6)
    reply = site.ask("/reduce/run.h5/x?op=sum")
    assert value(msgpack.unpackb(reply.body)["results"]["sum"]) == 45
    assert reply.headers["cache-control"] == "no-store"


# ------------------------------------------------------------------ files

CUBE = RNG.poisson(40, (12, 17, 90)).astype("u4")
ENERGY = 1.5 + 0.02 * np.arange(90)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    folder = tmp_path_factory.mktemp("maps")
    with h5py.File(folder / "xrf.h5", "w") as file:
        scan = file.create_group("scan")
        scan.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x", "energy"]})
        scan.create_dataset("counts", data=CUBE, chunks=(5, 5, 90), compression="gzip")
        scan["counts"].attrs["units"] = "counts"
        for name, values, unit in (
            ("y", np.arange(12) * 0.5, "um"),
            ("x", np.cumsum(np.arange(17.0)), "um"),
            ("energy", ENERGY, "keV"),
        ):
            scan[name] = values
            scan[name].attrs["units"] = unit
        scan["y"][...] += 3
    return start_site(folder)


QUERY = "op=sum&axis=2&sel=:,:,20:31&valid=1&download=1"


def band(site: Site) -> np.ndarray:
    with h5py.File(site.folder / "xrf.h5") as file:
        return file["scan/counts"][:, :, 20:31].sum(axis=2)


def saved(site: Site, form: str, query: str = QUERY) -> Any:
    reply = site.ask(f"/reduce/xrf.h5/scan/counts?{query}&format={form}")
    assert reply.status == 200, reply.body
    assert f'filename="xrf_scan_counts_sum.{form.split("&", maxsplit=1)[0]}"' in reply.headers["content-disposition"]
    again = site.ask(f"/reduce/xrf.h5/scan/counts?{query}&format={form}", If_None_Match=reply.headers["etag"])
    assert again.status == 304
    return reply.body


def test_a_map_is_saved_as_hdf5_with_its_axes(maps: Site) -> None:
    with h5py.File(io.BytesIO(saved(maps, "h5"))) as file:
        data = file[file.attrs["default"]]["data"]
        assert data.attrs["NX_class"] == "NXdata"
        signal = data[data.attrs["signal"]]
        np.testing.assert_array_equal(signal[...], band(maps))
        assert signal.dtype == np.uint64
        assert list(data.attrs["axes"]) == ["y", "x"]
        np.testing.assert_array_equal(data["y"][...], 3 + np.arange(12) * 0.5)
        np.testing.assert_array_equal(data["x"][...], np.cumsum(np.arange(17.0)))
        assert data["x"].attrs["units"] == "um"
        assert signal.attrs["units"] == "counts"
        np.testing.assert_array_equal(signal.attrs["energy_range"], ENERGY[[20, 30]])
        assert signal.attrs["energy_units"] == "keV"
        assert signal.attrs["selection"] == ":,:,20:31"
        assert signal.attrs["source"] == "xrf.h5:/scan/counts"


def test_a_map_is_saved_as_tiff_csv_and_npy(maps: Site) -> None:
    want = band(maps)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(saved(maps, "tiff"))), want)
    floats = tifffile.imread(io.BytesIO(saved(maps, "tiff&dtype=f4")))
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats, want.astype("f4"))
    np.testing.assert_array_equal(np.loadtxt(io.BytesIO(saved(maps, "csv")), delimiter=","), want)
    np.testing.assert_array_equal(np.load(io.BytesIO(saved(maps, "npy"))), want)


@pytest.mark.parametrize(
    "query",
    [
        "op=sum,mean&format=h5",
        "op=histogram&format=csv",
        "op=sum&axis=2&format=tiff&dtype=u1",
        "op=sum&dtype=f4",
        "op=sum&format=tiff",
        "op=sum&format=doc",
    ],
)
def test_what_no_file_holds_is_refused(maps: Site, query: str) -> None:
    assert maps.ask(f"/reduce/xrf.h5/scan/counts?{query}").status == 400
