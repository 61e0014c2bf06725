"""h5grove over a folder, as its own example serves it: h5grove_app.py FOLDER; says where on the first line."""

import os
import socket
import sys

os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"

import hdf5plugin  # noqa: F401 - registers its filters
import uvicorn
from fastapi import FastAPI
from h5grove import fastapi_utils

fastapi_utils.settings.base_dir = sys.argv[1]
app = FastAPI()
app.include_router(fastapi_utils.router)

if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, log_level="critical", access_log=False)
        uvicorn.Server(config).run(sockets=[listening])
