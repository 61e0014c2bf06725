"""An archive with open and closed proposals, and the ways from one into the other."""

from pathlib import Path

import h5py
import numpy as np
import pytest

OPEN, SECRET = 7, 0x5EC2E7
N = 1024


def write(path: Path, value: int) -> None:
    """A file with one image of one value, in four chunks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        image = np.full((N, N), value, "u4")
        file.create_dataset("entry/data", data=image, chunks=(512, 512), compression="gzip")


def write_virtual(path: Path, *sources: str) -> None:
    """A virtual dataset that stacks images of other files."""
    layout = h5py.VirtualLayout((len(sources), N, N), "u4")
    for i, source in enumerate(sources):
        layout[i] = h5py.VirtualSource(source, "entry/data", (N, N))
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("entry/data", layout)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``open`` is to be open, ``p42`` closed; everything in ``open`` whose name begins with ``to_`` reaches ``p42``."""
    top = tmp_path_factory.mktemp("archive")
    write(top / "open" / "free.h5", OPEN)
    write(top / "open" / "sub" / "free.h5", OPEN)
    write(top / "p42" / "raw" / "secret.h5", SECRET)
    (top / "p42" / "raw" / "pixels.bin").write_bytes(np.full((N, N), SECRET, "u4").tobytes())
    (top / "open" / "to_file.h5").symlink_to("../p42/raw/secret.h5")
    (top / "open" / "to_folder").symlink_to("../p42/raw")
    (top / "open" / "to_nothing.h5").symlink_to("../p42/raw/nothing.h5")
    (top / "p42" / "free.h5").symlink_to("../open/free.h5")
    write_virtual(top / "open" / "to_virtual.h5", "free.h5", "../p42/raw/secret.h5")
    write_virtual(top / "open" / "to_missing.h5", "free.h5", "../p42/raw/nothing.h5")
    nested = h5py.VirtualLayout((2, N, N), "u4")
    nested[...] = h5py.VirtualSource("to_virtual.h5", "entry/data", (2, N, N))
    with h5py.File(top / "open" / "to_nested.h5", "w") as file:
        file.create_virtual_dataset("entry/data", nested)
    write_virtual(top / "open" / "virtual.h5", "free.h5", "sub/free.h5")
    with h5py.File(top / "open" / "master.h5", "w") as file:
        file["entry/free"] = np.arange(5)
        file["entry/near"] = h5py.ExternalLink("free.h5", "/entry/data")
        file["entry/to_link"] = h5py.ExternalLink("../p42/raw/secret.h5", "/entry/data")
        file["entry/to_absent"] = h5py.ExternalLink("../p42/raw/nothing.h5", "/entry/data")
        file["entry/to_symbolic"] = h5py.ExternalLink("to_file.h5", "/entry/data")
        file.create_dataset(
            "entry/to_external", (N, N), "u4", external=[("../p42/raw/pixels.bin", 0, h5py.h5f.UNLIMITED)]
        )
    return top
