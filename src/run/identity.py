"""A run's identity: the hash of what matters to its numbers.

Same fingerprint: an interrupted run goes on. Another one: a new run from scratch, the old one untouched.
"""

import ast
import hashlib
import json
from pathlib import Path

from src.run.config import Params

NUMERICAL_SOURCES = (
    "batches",
    "captured",
    "fused",
    "fused_kernels",
    "lanes",
    "mulaw",
    "network",
    "optimizers",
    "packing",
    "pieces",
    "shape",
    "training",
)
"""Modules of src/wavenet/ that decide the numbers of a training step."""

FEEDING_SOURCES = ("feed", "schedule")
"""Modules of src/run/ that decide what a step is given: its batch and its learning rate."""

NOT_IDENTITY = {"steps", "checkpoint_every", "keep_last", "validate_every"}
"""Keys of `train` that change how long a run goes on or what is kept of it, not its numbers."""


def fingerprint(params: Params, clips_digest: str) -> str:
    """16 hexadecimal digits that name a run.

    clips_digest: one digest over the whole clip set. Raising `train.steps` does not change the fingerprint; an edit
    of a comment or a docstring in the numerical sources does not either.
    """
    train = {key: value for key, value in params.profile.train.model_dump().items() if key not in NOT_IDENTITY}
    identity = {
        "seed": params.study.seed,
        "genres": params.genres,
        "model": params.profile.model.model_dump(),
        "train": train,
        "clips": clips_digest,
        "sources": sources_digest(),
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sources_digest() -> str:
    """Digest of the code that decides the numbers, without its comments and docstrings."""
    digest = hashlib.sha256()
    for folder, stems in (("run", FEEDING_SOURCES), ("wavenet", NUMERICAL_SOURCES)):
        for stem in stems:
            path = Path(__file__).parents[1] / folder / f"{stem}.py"
            digest.update(meaning(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()


def meaning(source: str) -> str:
    """A text that is the same for two sources that differ only in comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [
                item
                for item in body
                if not (
                    isinstance(item, ast.Expr)
                    and isinstance(item.value, ast.Constant)
                    and isinstance(item.value.value, str)
                )
            ]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)
