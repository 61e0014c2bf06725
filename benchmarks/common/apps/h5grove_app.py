"""h5grove over the folder of a file: h5grove_app.py FILE PORT WORKERS."""

import os
import sys

import hdf5plugin  # noqa: F401 - registers its filters
import uvicorn
from fastapi import FastAPI
from h5grove import fastapi_utils

fastapi_utils.settings.base_dir = os.path.dirname(sys.argv[1])
app = FastAPI()
app.include_router(fastapi_utils.router)

if __name__ == "__main__":
    uvicorn.run(
        "h5grove_app:app", host="127.0.0.1", port=int(sys.argv[2]), workers=int(sys.argv[3]), log_level="warning",
        access_log=False,
    )  # fmt: skip
