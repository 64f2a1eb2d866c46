"""One line of the certificate.

In: what a check found. Out: `Check`. A check that could not be made says why; it never passes silently.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from src.base.console import few

Verdict = Literal["verified", "refuted", "cannot be checked here"]


@dataclass(frozen=True)
class Check:
    """What was looked at, what came out, and a sentence on it."""

    name: str
    verdict: Verdict
    reason: str
    """Whole sentences; of what cannot be checked, the end of a sentence that begins with "because"."""

    def __str__(self) -> str:
        joint = ", because " if self.verdict == "cannot be checked here" else ". "
        return f"{self.verdict}{joint}{self.reason}"


def verified(name: str, reason: str) -> Check:
    """It was checked and holds."""
    return Check(name, "verified", reason)


def refuted(name: str, reason: str) -> Check:
    """It was checked and does not hold."""
    return Check(name, "refuted", reason)


def unknown(name: str, because: str) -> Check:
    """It could not be checked here."""
    return Check(name, "cannot be checked here", because)


def decided(name: str, wrong: Sequence[str], right: str) -> Check:
    """Refuted with everything that is wrong, or verified with the sentence `right`."""
    return refuted(name, few(wrong, joint=" ")) if wrong else verified(name, right)
