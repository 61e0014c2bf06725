"""Read a dataset by tiled's client, in its environment: ``python tiled_reads.py URL JSON``; prints seconds as JSON."""

import json
import statistics
import sys
import time

import h5py
import numpy as np
from tiled.client import from_uri

url, asked = sys.argv[1], json.loads(sys.argv[2])
array = from_uri(f"{url}/api/v1", api_key="secret")["bench"][asked["dataset"]]
keys = [(key[0], *(slice(*part) for part in key[1:])) for key in asked["keys"]]
with h5py.File(asked["file"]) as file:
    dataset = file[asked["dataset"]]
    want = dataset[...]
    whole = []
    for _ in range(asked["rounds"]):
        start = time.perf_counter()
        got = array.read()
        whole.append(time.perf_counter() - start)
        assert np.array_equal(got, want), "tiled reads other values"
    small = []
    for key in keys:
        start = time.perf_counter()
        got = array[key]
        small.append(time.perf_counter() - start)
        assert np.array_equal(got, want[key]), f"tiled reads other values at {key}"
print(json.dumps({"whole": min(whole), "small": statistics.median(small)}))
