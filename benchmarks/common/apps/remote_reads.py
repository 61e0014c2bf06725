"""Read a dataset by a peer's own client, in its environment: remote_reads.py PEER URL JSON; seconds as JSON."""

import json
import statistics
import sys
import time

import h5py
import hdf5plugin  # noqa: F401 - registers its filters
import numpy as np


def tiled(url, name):
    """A dataset by tiled's client."""
    from tiled.client import from_uri  # noqa: PLC0415 - each environment has but one of them

    return from_uri(f"{url}/api/v1", api_key="secret")["bench"][name]


def hsds(url, name):
    """A dataset by h5pyd, from HSDS."""
    import h5pyd  # noqa: PLC0415

    file = h5pyd.File("/home/bench.h5", "r", endpoint=url, username="admin", password="admin", use_cache=False)
    return file[name]


peer, url, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
array = {"tiled": tiled, "hsds": hsds}[peer](url, asked["dataset"])
keys = [(key[0], *(slice(*part) for part in key[1:])) for key in asked["keys"]]
with h5py.File(asked["file"]) as file:
    dataset = file[asked["dataset"]]
    want = dataset[...]
    whole = []
    for _ in range(asked["rounds"]):
        start = time.perf_counter()
        got = array.read() if peer == "tiled" else array[...]
        whole.append(time.perf_counter() - start)
        assert np.array_equal(got, want), "it reads other values"
    small = []
    for key in keys:
        start = time.perf_counter()
        got = array[key]
        small.append(time.perf_counter() - start)
        assert np.array_equal(got, want[key]), f"it reads other values at {key}"
print(json.dumps({"whole": min(whole), "small": statistics.median(small)}))
