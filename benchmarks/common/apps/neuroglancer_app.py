"""neuroglancer's LocalVolume over the datasets of a file: neuroglancer_app.py FILE PORT WORKERS.

Levels are made when they are asked for, by its default method (averages, factors up to 64).
"""

import sys
import threading

import h5py
import hdf5plugin  # noqa: F401 - registers its filters
import neuroglancer
import neuroglancer.server

neuroglancer.set_server_bind_address("127.0.0.1", int(sys.argv[2]))
file = h5py.File(sys.argv[1])
viewer = neuroglancer.Viewer(token="bench")
kept = []
with viewer.txn() as state:
    for name in file:
        if isinstance(file[name], h5py.Dataset):
            axes = ["z", "y", "x"][-file[name].ndim :]
            space = neuroglancer.CoordinateSpace(names=axes, units="nm", scales=[1] * len(axes))
            volume = neuroglancer.LocalVolume(file[name], dimensions=space, volume_type="image", encoding="raw")
            volume.token = name
            kept.append(volume)
            state.layers[name] = neuroglancer.ImageLayer(source=volume)
threading.Event().wait()
