"""The form of what a forensic report says: findings, claims, and how each is known."""

from dataclasses import dataclass
from typing import Any, Literal

Basis = Literal["read", "inferred", "estimate", "published"]
"""Read from the files, inferred from them, estimated, or published elsewhere."""


@dataclass(frozen=True)
class Finding:
    """One thing the files say."""

    key: str
    title: str
    sentence: str
    """In plain words."""
    evidence: str
    basis: Basis
    values: dict[str, Any]
    """The same in numbers."""


@dataclass(frozen=True)
class Claim:
    """Something the study's page says, and what its files say."""

    what: str
    published: str
    found: str
    why: str


def finding(key: str, title: str, sentence: str, evidence: str, basis: Basis, **values: Any) -> Finding:
    """A finding with its values as keywords."""
    return Finding(key, title, sentence, evidence, basis, values)
