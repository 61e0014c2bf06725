"""Runs :mod:`chunkserve_client.cli` for ``python -m chunkserve_client``."""

import sys

from chunkserve_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
