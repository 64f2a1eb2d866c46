"""What a few independent values say: means, differences, their 95 % intervals, and the verdict on a difference.

In: one value for each independent unit (a song, a clip, a genre). Out: an `Effect`, whose interval and p value both
come from Student's t, so that a verdict and the interval printed beside it agree. `verdicts` decides every "better"
and "worse" of the project; whoever prints them only chooses the words.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from src.evaluate.measure import Measure, Over
from src.evaluate.schema import ALL, Difference, Verdict

LEAST_UNITS = 3
"""Of fewer units the values are shown and nothing is concluded."""
FEW_GENRES = 4
"""Of so few, a mean over genres must be many times their spread to survive a correction over a hundred comparisons."""
LEVEL = 0.05
"""Chance of one wrong verdict or more among all that are corrected together."""

Floats = NDArray[np.float64]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Effect:
    """A mean, or a difference of means, with its standard error."""

    value: float | None
    n: int
    over: Over
    unit: str
    error: float | None = None
    """Standard error; None where there are fewer than `LEAST_UNITS`."""
    freedom: float = 1.0
    """Degrees of freedom of its t distribution."""

    @property
    def p(self) -> float | None:
        """Two-sided p value of an effect of 0; None without a standard error."""
        if self.value is None or self.error is None:
            return None
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * special.stdtr(self.freedom, -abs(self.value) / self.error))

    def measure(self, why: str | None = None) -> Measure:
        """With its 95 % interval. why: the reason if there is no value."""
        if self.value is None:
            return Measure(None, self.unit, self.n, self.over, why=why or "There is nothing to measure.")
        if self.error is None:
            return Measure(self.value, self.unit, self.n, self.over)
        half = float(special.stdtrit(self.freedom, 0.975)) * self.error
        return Measure(self.value, self.unit, self.n, self.over, self.value - half, self.value + half)


def contrast(terms: Sequence[tuple[float, ArrayLike]], unit: str, over: Over) -> Effect:
    """The sum of factor × mean over independent groups of units; one group of factor 1 is a plain mean.

    terms: (factor, (units,) values); NaN is left out, and so is a group of factor 0. The degrees of freedom of several
    groups are Welch's (Biometrika 34, 1947); `n` is that of the smallest.
    """
    groups = [(factor, finite(values)) for factor, values in terms if factor != 0]
    n = min((len(x) for _, x in groups), default=0)
    if n == 0:
        return Effect(None, 0, over, unit)
    value = float(sum(factor * x.mean() for factor, x in groups))
    if n < LEAST_UNITS:
        return Effect(value, n, over, unit)
    parts = [factor**2 * float(x.var(ddof=1)) / len(x) for factor, x in groups]
    total = sum(parts)
    bottom = sum(part**2 / (len(x) - 1) for part, (_, x) in zip(parts, groups, strict=True))
    return Effect(value, n, over, unit, math.sqrt(total), total**2 / bottom if bottom > 0 else n - 1.0)


def mean(values: ArrayLike, unit: str, over: Over) -> Effect:
    """The mean over independent units, (units,)."""
    return contrast([(1.0, values)], unit, over)


def paired(differences: ArrayLike, unit: str) -> Effect:
    """The mean difference over songs, (songs,). What is below a millionth is rounding of float32 and no difference."""
    return mean(np.round(np.asarray(differences, dtype=np.float64), 6), unit, "songs")


def finite(values: ArrayLike) -> Floats:
    """The values that are numbers, as (units,) float64."""
    x = np.asarray(values, dtype=np.float64)
    return x[np.isfinite(x)]


def jackknife(figure: Callable[[NDArray[np.bool_]], float], groups: NDArray[np.int64]) -> Floats:
    """A figure of many points as values of independent units: their mean is the figure, their spread its error.

    figure: of the points where the mask (points,) is true. groups: (points,) the unit of each point. The values are
    Tukey's pseudo-values, moved so that their mean is the figure itself and not its bias-corrected form.
    """
    units = np.unique(groups)
    whole = figure(np.ones(len(groups), dtype=np.bool_))
    if len(units) < LEAST_UNITS:
        return np.full(len(units), whole)
    without = np.array([figure(groups != unit) for unit in units])
    return np.asarray(whole + (len(units) - 1) * (without.mean() - without), dtype=np.float64)


def holm(p: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which hypotheses fall at this family-wise level (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    rejected = [False] * len(p)
    for rank, index in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
        if p[index] > level / (len(p) - rank):
            break
        rejected[index] = True
    return rejected


def verdicts(family: Sequence[Effect], good: int) -> list[Verdict]:
    """What each effect of a family says, corrected over the family.

    good: 1 if effects above 0 are for the better, -1 if those below 0 are.
    """
    p = [effect.p for effect in family]
    known = [index for index, value in enumerate(p) if value is not None]
    clear = dict(zip(known, holm([value for value in p if value is not None]), strict=True))
    said: list[Verdict] = []
    for index, effect in enumerate(family):
        if index not in clear:
            said.append("too few")
        elif not clear[index]:
            said.append("unclear")
        else:
            said.append("better" if (effect.value or 0.0) * good > 0 else "worse")
    return said


def over_all(whole: Verdict, genres: Sequence[Verdict], over: Over) -> Verdict:
    """The verdict over all genres, once those of the single genres are known.

    What is clear in every one of them is clear over all of them, whatever a t test of so few units says: such a claim
    is only wrong where one of theirs is, so that no family errs more often. over: what `whole` is a mean over.
    """
    if len(genres) > 1 and {*genres} in ({"better"}, {"worse"}):
        return genres[0]
    return "too few" if whole == "unclear" and over == "genres" and len(genres) <= FEW_GENRES else whole


def differences(rows: Mapping[K, ArrayLike], good: int, unit: str) -> dict[K, Difference]:
    """Paired differences over songs, each with its verdict; the dictionary is the family.

    rows: key → (songs,) differences, song by song. The key `all` holds those of all the others.
    """
    effects = {key: paired(values, unit) for key, values in rows.items()}
    said = dict(zip(effects, verdicts(list(effects.values()), good), strict=True))
    genres = [verdict for key, verdict in said.items() if key != ALL]
    said = {key: over_all(verdict, genres, "songs") if key == ALL else verdict for key, verdict in said.items()}
    return {
        key: Difference(difference=effect.measure(), verdict=said[key], favourable=favourable(rows[key], good))
        for key, effect in effects.items()
    }


def favourable(values: ArrayLike, good: int) -> int:
    """In how many units the difference is for the better."""
    return int(np.count_nonzero(finite(values) * good > 1e-6))
