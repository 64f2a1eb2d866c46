"""The fast paths on a CPU: training in fused loops, generation in one compiled loop.

numba keeps what it compiled on the disk, but looks only at the file of each function, not at what that one calls. So
the compiled code of each state of these sources has a folder of its own.
"""

import hashlib
import os
from pathlib import Path

_HERE = Path(__file__).parent
_SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_HERE.glob("*.py")))).hexdigest()[:12]
os.environ.setdefault("NUMBA_CACHE_DIR", str(_HERE.parent / "__pycache__" / f"numba-{_SOURCES}"))
