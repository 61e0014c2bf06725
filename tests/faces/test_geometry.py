"""The geometry of diffraction frames, as files tell it: NeXus classes, units, CXI, further places, real files."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from chunkserve.metadata.geometry import HC, Measured, geometry, places
from chunkserve.service.geometry import geometry_of
from tests.conftest import REALDATA, OpenStore, Serve, needs_realdata
from tests.faces.conftest import ask

FRAMES = np.zeros((2, 30, 40), "u2")


def group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    found = parent.create_group(name)
    found.attrs["NX_class"] = nx_class
    return found


def number(parent: h5py.Group, name: str, value: Any, unit: str = "") -> None:
    parent[name] = value
    if unit:
        parent[name].attrs["units"] = unit


def write_detector(instrument: h5py.Group, name: str = "detector", center: float = 12.5) -> h5py.Group:
    detector = group(instrument, name, "NXdetector")
    number(detector, "beam_center_x", center, "pixel")
    number(detector, "beam_center_y", [8.25], "pixels")
    number(detector, "distance", 180, "mm")
    number(detector, "x_pixel_size", 75.0, "um")
    number(detector, "y_pixel_size", 0.0001, "m")
    return detector


def write_nexus(path: Path) -> None:
    with h5py.File(path, "w") as file:
        entry = group(file, "entry", "NXentry")
        instrument = group(entry, "instrument", "NXinstrument")
        detector = write_detector(instrument)
        detector["data"] = FRAMES
        number(group(instrument, "beam", "NXbeam"), "incident_wavelength", np.float32(0.5), "nm")
        data = group(entry, "data", "NXdata")
        data["data"] = detector["data"]
        data["soft"] = h5py.SoftLink("/entry/instrument/detector/data")


Geometry = Callable[..., Any]


@pytest.fixture
def told(tmp_path: Path, serve: Serve) -> Geometry:
    def find(write: Callable[[h5py.File], None], path: str = "entry/data", **settings: object) -> Any:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            write(file)
        reply = ask(f"{serve(tmp_path / 'a.h5', **settings)}/geometry/a.h5/{path}")
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    return find


@pytest.mark.parametrize("path", ["entry/instrument/detector/data", "entry/data/data", "entry/data/soft"])
def test_nexus_classes_lead_to_it_in_any_unit(tmp_path: Path, serve: Serve, path: str) -> None:
    write_nexus(tmp_path / "a.h5")
    found = json.loads(ask(f"{serve(tmp_path)}/geometry/a.h5/{path}").body)
    assert found["beam_center"] == [12.5, 8.25]
    assert found["distance"] == pytest.approx(0.18)
    assert found["pixel_size"] == pytest.approx([75e-6, 1e-4])
    assert found["wavelength"] == pytest.approx(5.0)
    assert found["missing"] == []
    assert found["sources"]["wavelength"] == "/entry/instrument/beam/incident_wavelength"


def test_a_center_in_lengths_and_an_energy_are_converted(told: Geometry) -> None:
    def write(file: h5py.File) -> None:
        entry = group(file, "entry", "NXentry")
        instrument = group(entry, "instrument", "NXinstrument")
        detector = write_detector(instrument)
        for name, value in (("beam_center_x", 1.5), ("beam_center_y", 2.0)):
            del detector[name]
            number(detector, name, value, "mm")
        number(group(instrument, "mono", "NXmonochromator"), "energy", 12.0, "keV")
        entry["data"] = FRAMES

    found = told(write)
    assert found["beam_center"] == pytest.approx([1.5e-3 / 75e-6, 2e-3 / 1e-4])
    assert found["wavelength"] == pytest.approx(HC / 12_000)
    assert found["wavelength"] == pytest.approx(1.0332, abs=1e-4)


def test_of_several_detectors_it_is_that_of_the_frames_or_none(told: Geometry) -> None:
    def write(file: h5py.File) -> None:
        entry = group(file, "entry", "NXentry")
        instrument = group(entry, "instrument", "NXinstrument")
        write_detector(instrument, "near", center=1)
        write_detector(instrument, "far", center=2)["data"] = FRAMES
        entry["linked"] = instrument["far/data"]
        entry["other"] = FRAMES

    assert told(write, "entry/linked")["beam_center"] == [2, 8.25]
    assert "beam_center" in told(write, "entry/other")["missing"]


def test_what_has_no_unit_or_makes_no_sense_is_missing(told: Geometry) -> None:
    def write(file: h5py.File) -> None:
        entry = group(file, "entry", "NXentry")
        detector = group(entry, "detector", "NXdetector")
        number(detector, "beam_center_x", 0.07)
        number(detector, "beam_center_y", math.nan, "pixel")
        number(detector, "distance", 0.0, "m")
        number(detector, "x_pixel_size", [75e-6, 80e-6], "m")
        number(detector, "y_pixel_size", 1.0, "furlong")
        entry["data"] = FRAMES

    found = told(write)
    assert found["missing"] == ["beam_center", "distance", "pixel_size", "wavelength"]
    assert found["sources"] == {}


def test_another_entry_does_not_count(told: Geometry) -> None:
    def write(file: h5py.File) -> None:
        write_detector(group(file, "calibration", "NXentry"))
        group(file, "entry", "NXentry")["data"] = FRAMES

    assert told(write)["beam_center"] is None


def test_cxi_is_in_si_units(told: Geometry) -> None:
    def write(file: h5py.File) -> None:
        file["entry_1/instrument_1/detector_1/distance"] = 1.12
        file["entry_1/instrument_1/detector_1/x_pixel_size"] = 5.5e-5
        file["entry_1/instrument_1/detector_1/y_pixel_size"] = 5.5e-5
        file["entry_1/instrument_1/source_1/energy"] = 1.602176634e-15  # J: 10 keV
        file["entry_1/data_1/data"] = FRAMES

    found = told(write, "entry_1/data_1/data")
    assert found["distance"] == 1.12
    assert found["wavelength"] == pytest.approx(HC / 1e4)
    assert found["missing"] == ["beam_center"]


def test_a_facility_adds_its_own_places(told: Geometry, tmp_path: Path) -> None:
    table = tmp_path / "geometry.toml"
    table.write_text(
        '[[place]]\nquantity = "beam_center_x"\npath = "/settings/centre/column"\nunit = "pixel"\n'
        '[[place]]\nquantity = "beam_center_y"\npath = "NXcollection/row"\nunit = "pixel"\n'
    )

    def write(file: h5py.File) -> None:
        entry = group(file, "entry", "NXentry")
        entry["settings/centre/column"] = 3
        group(entry["settings"], "more", "NXcollection")["row"] = 4
        entry["data"] = FRAMES

    assert told(write, geometry=str(table))["beam_center"] == [3, 4]


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[[place]]\nquantity = "colour"\npath = "NXdetector/x"\n')
    with pytest.raises(Exception, match="colour"):
        places(str(bad))
    bad.write_text('[[place]]\nquantity = "distance"\npath = "detector"\n')
    places.cache_clear()
    with pytest.raises(Exception, match="NXclass/name"):
        places(str(bad))


def test_mega_and_milli_electronvolts_are_no_guess() -> None:
    assert geometry({"energy": Measured(1.0, "meV", "/e")}).wavelength is None
    assert geometry({"energy": Measured(1.0, "MeV", "/e")}).wavelength == pytest.approx(HC / 1e6)


@needs_realdata
@pytest.mark.parametrize(
    "name", ["mx-bluesky__dummy_2.nxs", "nexgen__xrc_209_master.h5", "mx-bluesky__rotation_scan_test_nexus_0.nxs",
             "mx-bluesky__ins_8_5.nxs"]
)  # fmt: skip
def test_files_of_instruments_have_the_numbers_that_h5py_reads(open_store: OpenStore, name: str) -> None:
    path = REALDATA / "synchrotron" / name
    with h5py.File(path) as file:
        detector = file["entry/instrument/detector"]
        center = tuple(float(detector[f"beam_center_{axis}"][()]) for axis in "xy")
        pixel = tuple(float(detector[f"{axis}_pixel_size"][()]) for axis in "xy")
        distance = float(np.squeeze(detector["distance" if "distance" in detector else "detector_distance"][()]))
        wavelength = float(np.squeeze(file["entry/instrument/beam/incident_wavelength"][()]))
    store = open_store(path)
    chain = store.object((name, "entry", "data")).node
    node = replace(chain, chain=(*chain.chain, (chain.file, chain.number)))  # as of frames that are not here
    found = geometry_of(node, store.nodes, places())
    assert found.beam_center == center
    assert found.pixel_size == pixel
    assert found.distance == pytest.approx(distance)
    assert found.wavelength == pytest.approx(wavelength)
    assert found.missing == []
