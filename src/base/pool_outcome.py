"""What the pool and its workers agree on. A module of its own, because a worker runs its own module as `__main__`."""

from dataclasses import dataclass

MEMORY_BYTES = 3 << 30
"""Most data memory of one worker, and of a decoder it runs."""
HEAD_BYTES = 8
"""Each message is its length in so many bytes, little-endian, and a pickled value."""
READY = "ready"
"""A worker's first message."""


@dataclass(frozen=True)
class Fatal:
    """Stands for a problem that is not the file's (a full disk): the whole stage ends with it."""

    message: str


@dataclass(frozen=True)
class Failed:
    """Stands for the result of a task that did not finish; the reason is for the file's row."""

    reason: str
    took_too_long: bool = False
