"""``python -m chunkserve``."""

import sys

from chunkserve.cli import main

sys.exit(main())
