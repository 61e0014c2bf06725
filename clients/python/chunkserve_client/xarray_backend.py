"""``xarray.open_dataset(url, engine="chunkserve")``."""

import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

import xarray
from xarray.backends import BackendEntrypoint

from chunkserve_client.ecosystem import to_dataset
from chunkserve_client.nodes import Group
from chunkserve_client.server import INSIDE, connect

FACES = ("zarr", "files", "ome", "meta")


def split_url(url: str) -> tuple[str, str]:
    """A server's URL and the name of what is on it, from one URL.

    ``chunkserve://host:8000/run42.nxs::/entry``, or an ``http`` URL with or without a face in front of the file.

    Raises:
        ValueError: It is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("chunkserve", "http", "https") or not parts.netloc:
        raise ValueError(f"{url!r} is not like chunkserve://host:8000/folder/file.nxs::/group")
    scheme = "http" if parts.scheme == "chunkserve" else parts.scheme
    name = unquote(parts.path).lstrip("/")
    face, _, rest = name.partition("/")
    return f"{scheme}://{parts.netloc}", rest if face in FACES else name


class ChunkserveBackend(BackendEntrypoint):
    """Opens a group of a file on a server."""

    description = "Open HDF5, NeXus and netCDF-4 files on a chunkserve server"
    open_dataset_parameters = (
        "filename_or_obj", "drop_variables", "group", "token", "mask_and_scale", "decode_times", "decode_timedelta",
        "use_cftime", "concat_characters", "decode_coords",
    )  # fmt: skip

    def open_dataset(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None, group: str = "",
        token: str | None = None, **decoding: Any,
    ) -> xarray.Dataset:  # fmt: skip
        """Open a URL, or a group that is open already.

        Args:
            filename_or_obj: ``chunkserve://host/file.nc``, an ``http`` URL of the file, or a group of this package.
            drop_variables: To leave out.
            group: Path in the file, if it is not in the URL (behind ``::``).
            token: For the server.
            decoding: As ``xarray.open_zarr`` has it.
        """
        if isinstance(filename_or_obj, Group):
            found = filename_or_obj[group] if group else filename_or_obj
        else:
            url, name = split_url(str(filename_or_obj))
            if group:
                name = f"{name.partition(INSIDE)[0]}{INSIDE}{group}"
            found = connect(url, token=token)[name]
        if not isinstance(found, Group):
            raise TypeError(f"{found!r} is no group; open the group it is in, or use its to_xarray()")
        known = {name: value for name, value in decoding.items() if value is not None}
        return to_dataset(found.place, drop_variables=drop_variables, **known)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether it is surely ours."""
        if isinstance(filename_or_obj, Group):
            return True
        return isinstance(filename_or_obj, str | os.PathLike) and str(filename_or_obj).startswith("chunkserve://")
