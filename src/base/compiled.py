"""Where an experiment in a copy of the checkout keeps what numba compiled: with the checkout (see ./stage).

numba looks into a folder beside the source or, with NUMBA_CACHE_DIR, into one named after the source's path: both are
new for every copy. What it finds there counts only for the same source (`wavenet/cpu/__init__.py` says of how much).
"""

import re
from collections.abc import Callable
from pathlib import Path

from numba import config
from numba.core.caching import InTreeCacheLocator

from src.base.walk import COPY

IN_A_COPY = f"{COPY}(?=/src/)"


class WithTheCheckout(InTreeCacheLocator):  # type: ignore[misc]
    """numba is given this class by its name in NUMBA_CACHE_LOCATOR_CLASSES."""

    def __init__(self, function: Callable[..., object], path: str) -> None:
        """path: of the function's source, in the copy."""
        super().__init__(function, path)
        original = re.sub(IN_A_COPY, "", path)
        folder = Path(original).parent / "__pycache__"
        if config.CACHE_DIR:
            folder = Path(re.sub(IN_A_COPY, "", config.CACHE_DIR), self.get_suitable_cache_subpath(original))
        self._cache_path = str(folder)
