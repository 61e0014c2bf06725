"""The demonstration data: six small files of the kinds facilities keep, made from formulas and a fixed seed."""

import os
from collections.abc import Callable, Iterator

import h5py
import hdf5plugin
import numpy as np

SEED = 20240607
DEAD = 2**32 - 1
"""What unsigned detectors store for pixels that do not count."""


def make_demo(folder: str) -> Iterator[tuple[str, int]]:
    """Write the files that are not there yet.

    Yields:
        (file name, steps in it), then one such pair again with 0 after each step done.
    """
    os.makedirs(folder, exist_ok=True)
    for name, steps, write in FILES:
        path = os.path.join(folder, name)
        yield name, steps
        if os.path.exists(path):
            continue
        temporary = f"{path}.part"
        with h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
            for _ in write(file):
                yield name, 0
        os.replace(temporary, path)


def _group(parent: h5py.Group, name: str, nx_class: str, **attributes: object) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    for key, value in attributes.items():
        group.attrs[key] = value
    return group


def _field(parent: h5py.Group, name: str, data: object, **attributes: object) -> h5py.Dataset:
    dataset = parent.create_dataset(name, data=data)
    for key, value in attributes.items():
        dataset.attrs[key] = value
    return dataset


# ------------------------------------------------------------------ tomography

ANGLES, ROWS, COLUMNS = 91, 384, 512


def tomography(file: h5py.File) -> Iterator[None]:
    """A stack of projections: three cylinders and a cone, flat and dark frames, photon noise (NXtomo)."""
    rng = np.random.default_rng(SEED)
    file.attrs["default"] = "entry"
    entry = _group(file, "entry", "NXentry", default="data")
    _field(entry, "definition", "NXtomo")
    _field(entry, "title", "Phantom of three cylinders and a cone")
    detector = _group(_group(entry, "instrument", "NXinstrument"), "detector", "NXdetector")
    frames = ANGLES + 10
    data = detector.create_dataset(
        "data", (frames, ROWS, COLUMNS), "u2", chunks=(1, ROWS // 2, COLUMNS), compression="gzip", compression_opts=4,
        shuffle=True,
    )  # fmt: skip
    data.attrs["units"] = "counts"
    angles = np.concatenate([np.linspace(0, 180, ANGLES), np.zeros(10)])
    keys = np.array([0] * ANGLES + [1] * 5 + [2] * 5, dtype="i4")
    flat = 20000 * (1 - 0.2 * np.linspace(-1, 1, COLUMNS) ** 2)[None, :] * np.ones((ROWS, 1))
    for i in range(frames):
        mean = np.full((ROWS, COLUMNS), 100.0) if keys[i] == 2 else flat * np.exp(-_path(angles[i], keys[i])) + 100
        data[i] = rng.poisson(mean).clip(0, 65535)
        yield
    _field(detector, "image_key", keys)
    _field(detector, "x_pixel_size", 6.5, units="um")
    _field(detector, "y_pixel_size", 6.5, units="um")
    rotation = _field(_group(entry, "sample", "NXsample"), "rotation_angle", angles, units="degree")
    plot = _group(entry, "data", "NXdata", signal="data", axes=["rotation_angle", ".", "."])
    plot["data"], plot["rotation_angle"] = data, rotation


def _path(angle: float, key: int) -> np.ndarray:
    """Attenuation along each ray, dimensionless; shape (ROWS, COLUMNS)."""
    if key:
        return np.zeros((ROWS, COLUMNS))
    theta = np.deg2rad(angle)
    x = np.linspace(-1, 1, COLUMNS)[None, :]
    z = np.linspace(0, 1, ROWS)[:, None]
    total = np.zeros((ROWS, COLUMNS))
    for cx, cy, radius, density in ((0.0, 0.0, 0.8, 0.6), (0.3, 0.2, 0.15, 1.5), (-0.35, 0.1, 0.1, 2.5)):
        offset = x - (cx * np.cos(theta) + cy * np.sin(theta))
        total += density * 2 * np.sqrt(np.clip(radius**2 - offset**2, 0, None))
    cone = 0.25 * z
    offset = x - 0.4 * np.sin(theta - 0.7)
    return np.asarray(total + 4 * np.sqrt(np.clip(cone**2 - offset**2, 0, None)))


# ------------------------------------------------------------------- detector

FRAMES, HEIGHT, WIDTH = 24, 1065, 1030


def diffraction(file: h5py.File) -> Iterator[None]:
    """Detector frames in bitshuffle-LZ4: rings, a few Bragg spots, module gaps, dead pixels, geometry (NXmx-like)."""
    rng = np.random.default_rng(SEED + 1)
    file.attrs["default"] = "entry"
    entry = _group(file, "entry", "NXentry", default="data")
    _field(entry, "title", "Powder rings and a rotating crystal")
    detector = _group(_group(entry, "instrument", "NXinstrument"), "detector", "NXdetector")
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype("f4")
    beam = (520.3, 533.7)
    radius = np.hypot(x - beam[0], y - beam[1])
    mean = 0.3 + 15 * np.exp(-radius / 180)
    for ring in (145, 205, 251, 290, 355, 410):
        mean += 5 * np.exp(-(((radius - ring) / 2.5) ** 2))
    gaps = np.zeros((HEIGHT, WIDTH), bool)
    gaps[514:551] = gaps[:, 513:517] = True
    dead = gaps | (rng.random((HEIGHT, WIDTH)) < 2e-4)
    data = detector.create_dataset(
        "data", (FRAMES, HEIGHT, WIDTH), "u4", chunks=(1, HEIGHT, WIDTH), **hdf5plugin.Bitshuffle(cname="lz4")
    )
    data.attrs["units"] = "counts"
    spots = rng.uniform((80, 80), (HEIGHT - 80, WIDTH - 80), (60, 2))
    phase = rng.uniform(0, FRAMES, 60)
    for i in range(FRAMES):
        frame = rng.poisson(mean).astype("u4")
        for (sy, sx), when in zip(spots, phase, strict=True):
            peak = 4000 * np.exp(-((i - when) ** 2) / 2)
            if peak > 1:
                rows, columns = slice(int(sy) - 6, int(sy) + 7), slice(int(sx) - 6, int(sx) + 7)
                distance = (y[rows, columns] - sy) ** 2 + (x[rows, columns] - sx) ** 2
                frame[rows, columns] += rng.poisson(peak * np.exp(-distance / 3)).astype("u4")
        frame[dead] = DEAD
        data[i] = frame
        yield
    _field(detector, "pixel_mask", np.where(gaps, 1, np.where(dead, 2, 0)).astype("u4"))
    _field(detector, "saturation_value", 115000)
    _field(detector, "underload_value", 0)
    _field(detector, "beam_center_x", beam[0], units="pixel")
    _field(detector, "beam_center_y", beam[1], units="pixel")
    _field(detector, "distance", 0.18, units="m")
    _field(detector, "x_pixel_size", 75e-6, units="m")
    _field(detector, "y_pixel_size", 75e-6, units="m")
    beam_group = _group(entry["instrument"], "beam", "NXbeam")
    _field(beam_group, "incident_wavelength", 0.9763, units="angstrom")
    omega = _field(_group(entry, "sample", "NXsample"), "omega", np.arange(FRAMES) * 0.5, units="degree")
    plot = _group(entry, "data", "NXdata", signal="data", axes=["omega", ".", "."])
    plot["data"], plot["omega"] = data, omega


# -------------------------------------------------------------------- climate


def climate(file: h5py.File) -> Iterator[None]:
    """A year of monthly temperature and packed precipitation on a globe, as netCDF-C would write it (CF)."""
    rng = np.random.default_rng(SEED + 2)
    file.attrs["Conventions"] = "CF-1.11"
    file.attrs["title"] = "Synthetic monthly climate"
    time, lat, lon = np.arange(12) * 30.0 + 15, np.linspace(-89, 89, 90), np.arange(180) * 2.0
    scales = {}
    for number, (name, values, units) in enumerate(
        (("time", time, "days since 2024-01-01"), ("lat", lat, "degrees_north"), ("lon", lon, "degrees_east"))
    ):
        scales[name] = file.create_dataset(name, data=values)
        scales[name].make_scale(name)
        scales[name].attrs["units"] = units
        scales[name].attrs["_Netcdf4Dimid"] = np.int32(number)
    scales["time"].attrs["calendar"] = "standard"
    grid = np.broadcast_arrays(time[:, None, None], lat[None, :, None], lon[None, None, :])
    season = np.cos((grid[0] / 360 - 0.5 * (grid[1] > 0)) * 2 * np.pi)
    kelvin = 300 - 50 * np.sin(np.deg2rad(grid[1])) ** 2 - 8 * season * np.sin(np.deg2rad(abs(grid[1])))
    kelvin = kelvin + rng.normal(0, 0.8, kelvin.shape)
    land = np.sin(np.deg2rad(grid[2]) * 2) + np.cos(np.deg2rad(grid[1]) * 3) > 0.4
    temperature = np.where(land, kelvin, np.float32(1e20)).astype("f4")
    rain = np.where(land, rng.gamma(2, 2, kelvin.shape) / 0.01, -32768).clip(-32768, 32767).astype("i2")
    for name, values, fill, attributes in (
        ("temperature", temperature, np.float32(1e20), {"units": "K", "standard_name": "air_temperature"}),
        ("precipitation", rain, np.int16(-32768), {"units": "mm", "scale_factor": 0.01, "add_offset": 0.0}),
    ):
        variable = file.create_dataset(
            name,
            data=values,
            chunks=(1, 90, 180),
            fillvalue=fill,
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )
        variable.attrs["_FillValue"] = np.array([fill])
        for key, value in attributes.items():
            variable.attrs[key] = value
        for axis, scale in enumerate(("time", "lat", "lon")):
            variable.dims[axis].attach_scale(scales[scale])
        yield


# ------------------------------------------------------------------------ XRF

LINES = {"Ca": (3.69, 900), "Fe": (6.40, 2500), "Cu": (8.05, 1400), "Zn": (8.64, 800), "Pb": (10.55, 400)}
"""Fluorescence lines of the map: energy in keV, counts where the element is."""


def fluorescence(file: h5py.File) -> Iterator[None]:
    """A spectrum in every point of a map: five elements, each with its own shape on the sample."""
    rng = np.random.default_rng(SEED + 3)
    rows, columns, channels = 96, 128, 1024
    file.attrs["default"] = "entry"
    entry = _group(file, "entry", "NXentry", default="data")
    _field(entry, "title", "XRF map of a painted fragment")
    energy = np.linspace(0.5, 15.0, channels)
    y, x = np.mgrid[0:rows, 0:columns] / np.array([rows, columns]).reshape(2, 1, 1)
    shapes = {
        "Ca": 0.6 + 0.4 * np.sin(8 * x),
        "Fe": np.exp(-(((x - 0.3) ** 2 + (y - 0.4) ** 2) / 0.03)),
        "Cu": (abs(x - y) < 0.08).astype(float),
        "Zn": ((x - 0.7) ** 2 + (y - 0.6) ** 2 < 0.04).astype(float),
        "Pb": (y > 0.8).astype(float),
    }
    detector = _group(_group(entry, "instrument", "NXinstrument"), "xrf", "NXdetector")
    data = detector.create_dataset(
        "data", (rows, columns, channels), "u2", chunks=(8, 16, channels), compression="gzip", compression_opts=4,
        shuffle=True,
    )  # fmt: skip
    data.attrs["units"], data.attrs["interpretation"] = "counts", "spectrum"
    background = 30 * np.exp(-energy / 4)
    for start in range(0, rows, 8):
        part = np.broadcast_to(background, (8, columns, channels)).copy()
        for element, (line, counts) in LINES.items():
            peak = counts * np.exp(-(((energy - line) / 0.08) ** 2)) / 10
            part += shapes[element][start : start + 8, :, None] * peak
        data[start : start + 8] = rng.poisson(part)
        yield
    axis = _field(detector, "energy", energy, units="keV")
    plot = _group(entry, "data", "NXdata", signal="data", axes=["y", "x", "energy"], interpretation="spectrum")
    plot["data"], plot["energy"] = data, axis
    _field(plot, "x", np.arange(columns) * 2.0, units="um")
    _field(plot, "y", np.arange(rows) * 2.0, units="um")


# ------------------------------------------------------- table, virtual dataset


def peaks(file: h5py.File) -> Iterator[None]:
    """A compound table, and a log in chunks of one element as data acquisition writes them."""
    rng = np.random.default_rng(SEED + 4)
    count = 20_000
    dtype = np.dtype([("h", "i2"), ("k", "i2"), ("l", "i2"), ("intensity", "f4"), ("sigma", "f4"), ("used", "?")])
    table = np.zeros(count, dtype)
    for name in "hkl":
        table[name] = rng.integers(-20, 21, count)
    table["intensity"] = rng.gamma(1.5, 200, count)
    table["sigma"] = np.sqrt(table["intensity"]) + 1
    table["used"] = rng.random(count) > 0.05
    entry = _group(file, "entry", "NXentry")
    entry.create_dataset("peaks", data=table, chunks=(2048,), compression="gzip", shuffle=True)
    yield
    log = _group(entry, "temperature", "NXlog")
    value = log.create_dataset("value", (0,), "f8", maxshape=(None,), chunks=(1,))
    value.attrs["units"] = "K"
    value.resize((2000,))
    value[...] = 100 + np.cumsum(rng.normal(0, 0.01, 2000))
    _field(log, "time", np.arange(2000) * 0.5, units="s")
    yield


def part(number: int) -> Callable[[h5py.File], Iterator[None]]:
    """One half of a scan."""

    def write(file: h5py.File) -> Iterator[None]:
        rng = np.random.default_rng(SEED + 5 + number)
        y, x = np.mgrid[0:256, 0:256]
        data = file.create_dataset("data", (20, 256, 256), "u2", chunks=(1, 256, 256), compression="gzip", shuffle=True)
        for i in range(20):
            where = 20 * number + i
            data[i] = rng.poisson(20 + 200 * np.exp(-((x - 30 - 5 * where) ** 2 + (y - 128) ** 2) / 400))
            yield

    return write


def virtual(file: h5py.File) -> Iterator[None]:
    """A virtual dataset over the two halves."""
    layout = h5py.VirtualLayout((40, 256, 256), "u2")
    for number in range(2):
        source = h5py.VirtualSource(f"scan_part{number + 1}.h5", "data", (20, 256, 256))
        layout[20 * number : 20 * (number + 1)] = source
    file.attrs["default"] = "entry"
    entry = _group(file, "entry", "NXentry", default="data")
    plot = _group(entry, "data", "NXdata", signal="data")
    plot.create_virtual_dataset("data", layout)
    yield


FILES: tuple[tuple[str, int, Callable[[h5py.File], Iterator[None]]], ...] = (
    ("tomography.nxs", ANGLES + 10, tomography),
    ("diffraction.h5", FRAMES, diffraction),
    ("climate.nc", 2, climate),
    ("fluorescence.h5", 12, fluorescence),
    ("peaks.h5", 2, peaks),
    ("scan_part1.h5", 20, part(0)),
    ("scan_part2.h5", 20, part(1)),
    ("scan.h5", 1, virtual),
)
