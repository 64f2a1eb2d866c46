"""How codes are picked, as one frozen object; reading it must not load torch."""

from dataclasses import dataclass
from typing import Literal

from src.base.errors import Problem

Start = Literal["silence", "zeros"]
Weights = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Sampling:
    """The settings of a generation. Raises `Problem` for a value out of range."""

    temperature: float = 1.0
    """Divides the logits."""
    top_k: int | None = None
    """Keep the k likeliest codes."""
    top_p: float | None = None
    """Keep the likeliest codes that together have probability p."""
    start: Start = "silence"
    """What precedes the first sample: a receptive field of silence, or all-zero buffers."""
    weights: Weights = "float32"
    """bfloat16 halves the memory read for each sample on a CPU, at some loss of accuracy (docs/wavenet.md)."""

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise Problem(f"temperature is {self.temperature}; it must be above 0, and finite.")
        if self.top_k is not None and self.top_k < 1:
            raise Problem(f"top_k is {self.top_k}; it must be 1 or more.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise Problem(f"top_p is {self.top_p}; it must be above 0 and at most 1.")
        if self.start not in ("silence", "zeros"):
            raise Problem(f"start is {self.start!r}; it must be silence or zeros.")
        if self.weights not in ("float32", "bfloat16"):
            raise Problem(f"weights is {self.weights!r}; it must be float32 or bfloat16.")
