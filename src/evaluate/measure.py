"""A measured figure, and the interval of a share.

In: figures. Out: `Measure`, which metrics/evaluate.json holds (`schema.py`). It loads neither torch nor scipy, because
the comparison reads measures too.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_serializer

Over = Literal["songs", "clips", "genres", "answers"]
Text = Annotated[str, Field(max_length=1_000)]
Count = Annotated[int, Field(ge=0)]

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
"""Of everything that is read from a file of measures."""
Z = NormalDist().inv_cdf(0.975)
"""Half the width of a 95 % interval, in standard errors of a normal distribution: 1.96."""


@dataclass(frozen=True)
class Measure:
    """A figure, its 95 % interval (None: too few units), and what it is over."""

    value: float | None
    unit: Text
    n: Count
    over: Over
    lo: float | None = None
    hi: float | None = None
    why: Text | None = None
    """Why there is no value."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    @model_serializer
    def to_json(self) -> dict[str, Any]:
        """As it stands in metrics/evaluate.json; figures are rounded to 6 significant digits."""
        content = {
            "value": rounded(self.value),
            "lo": rounded(self.lo),
            "hi": rounded(self.hi),
            "n": self.n,
            "over": self.over,
            "unit": self.unit,
        }
        return content if self.why is None else {**content, "why": self.why}


def rounded(value: float | None, digits: int = 6) -> float | None:
    """The value to `digits` significant digits; None for what JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def wilson(hits: float, n: int, over: Over) -> Measure:
    """A share with Wilson's 95 % score interval (JASA 22, 1927), which behaves for few trials and at 0 and 1.

    hits: of n trials; an undecided one may count half.
    """
    if n == 0:
        return Measure(None, "share", 0, over, why="There is nothing to count.")
    share = hits / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    lo = 0.0 if hits == 0 else centre - half
    hi = 1.0 if hits == n else centre + half
    return Measure(share, "share", n, over, lo, hi)
