"""napari: ``napari "chunkserve://host:8000/run42.nxs::/entry/data/data"`` shows a dataset's pyramid."""

from collections.abc import Callable
from typing import Any

from chunkserve_client import loop
from chunkserve_client.errors import ClientError
from chunkserve_client.levels import plane_info
from chunkserve_client.nodes import Dataset
from chunkserve_client.server import connect
from chunkserve_client.xarray_backend import split_url

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """A function that reads what a path names, if it is a dataset on a server."""
    first = path[0] if isinstance(path, list) else path
    return read if first.startswith("chunkserve://") and "::" in first else None


def read(path: str | list[str]) -> list[LayerData]:
    """Layers of datasets: all levels as lazy arrays, with the contrast of a sample."""
    return [_layer(one) for one in (path if isinstance(path, list) else [path])]


def _layer(path: str) -> LayerData:
    url, name = split_url(path)
    dataset = connect(url)[name]
    if not isinstance(dataset, Dataset):
        raise TypeError(f"{path} is no dataset")
    arrays = [dataset.level(info.level).to_dask() for info in dataset.levels]
    options: dict[str, Any] = {"name": name.rsplit("/", 1)[-1], "multiscale": len(arrays) > 1}
    try:
        window = loop.run(plane_info(dataset.place, {}))["window"]
    except ClientError:  # napari finds limits by itself, only later
        window = None
    if window is not None and window["start"] < window["end"]:
        options["contrast_limits"] = [window["start"], window["end"]]
    return (arrays if len(arrays) > 1 else arrays[0], options, "image")
