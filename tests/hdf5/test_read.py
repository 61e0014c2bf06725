"""Values that only libhdf5 converts: what h5py reads, and no byte that no filter wrote."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from chunkserve import wire
from chunkserve.hdf5.pool import ReaderRefused


@pytest.fixture
def read_box(readers, open_file):
    """Read a box of the dataset ``x`` by a reader process."""

    def read(path: Path, start: tuple[int, ...], count: tuple[int, ...], *, twice: bool = True) -> wire.Values:
        return readers.call(open_file(path), wire.Task(read=wire.Read((b"x",), start, count, twice)), wire.Values)

    return read


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize(
    "filters",
    [{"compression": "lzf"}, {"compression": "szip"}, {"scaleoffset": 0}, dict(hdf5plugin.Zfp(reversible=True))],
    ids=["lzf", "szip", "scaleoffset", "zfp"],
)
def test_boxes_are_what_h5py_reads(tmp_path: Path, read_box, filters, twice) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        data = np.arange(600, dtype="<i4").reshape(20, 30)
        file.create_dataset("x", data=data, chunks=(8, 16), **filters)
    values = read_box(tmp_path / "f.h5", (3, 5), (10, 20), twice=twice)
    assert values.data == data[3:13, 5:25].tobytes()


def test_objects_are_text_paths_and_lists(tmp_path: Path, read_box) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["group/d"] = [1]
        dtype = np.dtype([("s", h5py.string_dtype()), ("v", h5py.vlen_dtype("f4")), ("r", h5py.ref_dtype)])
        dataset = file.create_dataset("x", (2,), dtype)
        dataset[0] = ("é", np.array([1.5, 2], "f4"), file["group/d"].ref)
    assert read_box(tmp_path / "f.h5", (0,), (2,)).items == [["é", [1.5, 2.0], "/group/d"], ["", [], ""]]


def test_a_scalar_has_no_box(tmp_path: Path, read_box) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["x"] = np.longdouble(1.5)
    assert read_box(tmp_path / "f.h5", (), ()).data == np.float64(1.5).tobytes()


def test_a_truncated_chunk_is_corrupt_where_libhdf5_would_invent_its_end(tmp_path: Path, read_box) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (4096,), "u1", chunks=(4096,), **hdf5plugin.LZ4())
        short = file.create_dataset("y", data=np.ones(100, "u1"), chunks=(100,), **hdf5plugin.LZ4())
        dataset.id.write_direct_chunk((0,), short.id.read_direct_chunk((0,))[1])
    assert len(read_box(path, (0,), (4096,), twice=False).data) == 4096  # 3996 of them are rubbish
    with pytest.raises(ReaderRefused, match="fewer bytes") as caught:
        read_box(path, (0,), (4096,))
    assert caught.value.kind == "corrupt"


@pytest.mark.parametrize("where", ["external", "virtual"])
def test_values_in_other_files_are_not_libhdf5s_business(tmp_path: Path, read_box, where) -> None:
    (tmp_path / "secret").write_bytes(b"12345678")
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["d"] = np.arange(8, dtype="u1")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        if where == "external":
            file.create_dataset("x", (8,), "u1", external=[(str(tmp_path / "secret"), 0, 8)])
        else:
            layout = h5py.VirtualLayout((8,), "u1")
            layout[...] = h5py.VirtualSource(str(tmp_path / "s.h5"), "d", (8,))
            file.create_virtual_dataset("x", layout)
        assert file["x"][0] in (0, ord("1"))
    with pytest.raises(ReaderRefused, match="values lie in other files"):
        read_box(tmp_path / "f.h5", (0,), (8,))
