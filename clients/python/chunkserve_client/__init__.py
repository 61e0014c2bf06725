"""HDF5 files behind a chunkserve server, read like local ones.

>>> from chunkserve_client import connect
>>> srv = connect("https://data.example.org")
>>> d = srv["run42.nxs"]["/entry/data/data"]
>>> d[10, ::4, 100:200]
"""

from chunkserve_client.arrays import Array
from chunkserve_client.errors import (
    BadRequest,
    Busy,
    ClientError,
    Damaged,
    FileChanged,
    NotAllowed,
    NotFound,
    NotSupported,
    TooMuch,
    Unreachable,
)
from chunkserve_client.levels import Level, LevelInfo, Picture
from chunkserve_client.nodes import Dataset, File, Group, NamedType
from chunkserve_client.plan import Plan
from chunkserve_client.server import Server, connect
from chunkserve_client.types import Empty, StringInfo

__version__ = "0.1.0"

__all__ = [
    "Array",
    "BadRequest",
    "Busy",
    "ClientError",
    "Damaged",
    "Dataset",
    "Empty",
    "File",
    "FileChanged",
    "Group",
    "Level",
    "LevelInfo",
    "NamedType",
    "NotAllowed",
    "NotFound",
    "NotSupported",
    "Picture",
    "Plan",
    "Server",
    "StringInfo",
    "TooMuch",
    "Unreachable",
    "__version__",
    "connect",
]
