"""The fast paths on a CPU: training in fused loops, generation in one compiled loop.

numba keeps what it compiled on the disk, but looks only at the file of each function, not at what that one calls. So
the compiled code of each state of these sources has a folder of its own: beside them, or in work/ where they may not be
written (a container). It runs what it finds there, so it must be a place that nobody else can write to.
"""

import hashlib
import os
from pathlib import Path

_HERE = Path(__file__).parent
_SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_HERE.glob("*.py")))).hexdigest()[:12]
_PARENT = _HERE.parent / "__pycache__" if os.access(_HERE.parent, os.W_OK) else Path("work/cache").absolute()
os.environ.setdefault("NUMBA_CACHE_DIR", str(_PARENT / f"numba-{_SOURCES}"))
