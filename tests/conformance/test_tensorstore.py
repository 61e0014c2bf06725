"""tensorstore reads what h5py reads, with its drivers for both formats."""

import h5py
import numpy as np
import pytest
import tensorstore as ts

from chunkserve.metadata.keys import Format
from tests.conformance.conftest import Zoo, assert_same, is_plain, names_in

DRIVER: dict[Format, str] = {3: "zarr3", 2: "zarr"}

MORE = ["numbers/le_f2", "objects/c8", "objects/c16", "objects/bool", "objects/array_type", "objects/longdouble"]
"""Beyond plain numbers, the dtypes that tensorstore has."""

REFUSED: dict[Format, list[str]] = {
    3: ["objects/text", "objects/fixed_text", "objects/datetime", "objects/vlen", "objects/records"],
    2: ["objects/text", "objects/datetime", "objects/vlen"],
}
"""What it says it cannot read, rather than read something else."""


def opened(zoo: Zoo, zarr_format: Format, name: str) -> ts.TensorStore:
    spec = {"driver": DRIVER[zarr_format], "kvstore": zoo.url(zarr_format, name) + "/"}
    return ts.open(spec, open=True, read=True).result()


def test_every_plain_dataset_equals_h5py(zoo: Zoo, zarr_format: Format) -> None:
    with h5py.File(zoo.path) as file:
        names = [name for name in names_in(zoo.path) if is_plain(file[name])]
    assert len(names) > 80
    for name in names:
        assert_same(opened(zoo, zarr_format, name).read().result(), zoo.values(name), name)


def test_other_dtypes_equal_h5py(zoo: Zoo, zarr_format: Format) -> None:
    for name in MORE:
        got = np.asarray(opened(zoo, zarr_format, name).read().result())
        np.testing.assert_array_equal(got, zoo.values(name), err_msg=name)


def test_fields_of_records_are_read_one_at_a_time_in_format_2(zoo: Zoo) -> None:
    want = zoo.values("objects/records")
    for field in ("h", "ok", "value"):
        spec = {"driver": "zarr", "kvstore": zoo.url(2, "objects/records") + "/", "field": field}
        np.testing.assert_array_equal(ts.open(spec, open=True, read=True).result().read().result(), want[field])


def test_what_it_has_no_dtype_for_it_refuses(zoo: Zoo, zarr_format: Format) -> None:
    for name in REFUSED[zarr_format]:
        with pytest.raises(ValueError, match="Error parsing object member"):
            opened(zoo, zarr_format, name)


@pytest.mark.parametrize("name", ["middle/gzip", "middle/plain", "middle/bitshuffle_lz4", "big/zstd"])
def test_windows_equal_h5py(zoo: Zoo, zarr_format: Format, name: str) -> None:
    array = opened(zoo, zarr_format, name)
    want = zoo.values(name)
    for part in (np.s_[3:5, 60:140], np.s_[100:, :1], np.s_[::17, ::13]):
        assert_same(array[part].read().result(), want[part], f"{name}{part}")


def test_dimension_names_are_labels_in_format_3(zoo: Zoo) -> None:
    labels = opened(zoo, 3, "layouts/rank5").domain.labels
    assert len(set(labels)) == 5
    assert all(label.startswith("phony_dim_") for label in labels)
