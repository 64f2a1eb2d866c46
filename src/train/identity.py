"""A run's identity: the hash of what decides its numbers.

Same fingerprint: an interrupted run goes on. Another one: a new run from scratch, the old one untouched.
"""

import hashlib
import json

from src.base import code
from src.config import Params

DECIDES_A_STEP = "src.train.step"
"""The module from which everything is reached that decides a number of a training."""

NOT_IDENTITY = {"steps", "checkpoint_every", "keep_last", "validate_every"}
"""Keys of `train` that change how long a run goes on or what is kept of it, not its numbers."""


def fingerprint(params: Params, clips_digest: str) -> str:
    """16 hexadecimal digits that name a run.

    clips_digest: one digest over the whole clip set. Parameters count with the values that they have here, defaults
    included; raising `train.steps` does not change the fingerprint, nor does an edit of a comment or a docstring.
    """
    train = {key: value for key, value in params.profile.train.model_dump().items() if key not in NOT_IDENTITY}
    identity = {
        "seed": params.study.seed,
        "genres": params.genres,
        "model": params.profile.model.model_dump(),
        "train": train,
        "clips": clips_digest,
        "code": code.digest(DECIDES_A_STEP),
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
