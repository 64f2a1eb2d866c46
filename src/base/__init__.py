"""Tools of every room, without an opinion on any number: errors, files, console, processes, provenance."""

import os
from pathlib import Path

if not os.access(Path(__file__).parents[1], os.W_OK):
    # numba keeps compiled code beside the sources, or in a home folder, which a container may not have. It runs what it
    # finds there, so it must be a place that nobody else can write to.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path("work/cache/numba").absolute()))
