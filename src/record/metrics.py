"""The names that metrics have in MLflow.

MLflow makes a section of charts from what stands before the last slash, and sorts sections and charts by name. So what
is looked at first is called so that it comes first: `learning`, then `results`, `run`, and `scores`, a section for each
measure with a chart for each genre. Imported runs use the same names, to be charted beside new ones.
"""

import re

LOSS = "learning/loss"
"""Nats per sample, of every step."""
SECONDS_PER_STEP = "run/seconds_per_step"

BITS_GAINED = "results/bits_gained"
"""Bits per sample that the network needs fewer than the linear predictor on songs it never heard: higher is better."""
BITS_PER_SAMPLE = "results/bits_per_sample"
"""On songs it never heard, mean of the genres."""
MEDIAN_LOSS = "results/median_loss"
"""Nats per sample, of the last steps up to a checkpoint: a single step's says more of its batch."""
WAY_TO_MUSIC = "results/way_to_music_percent"
"""The middle measure's share of the way from white noise (0) to held-out songs (100)."""

GENERATION_SECONDS = "run/generation_seconds"
GENERATION_TIMES_REAL_TIME = "run/generation_times_real_time"


def validation_bits(genre: str) -> str:
    """Bits per sample on held-out clips while the training goes on."""
    return f"learning/validation_bits.{genre}"


def score(measure: str, genre: str) -> str:
    """A measure of a checkpoint, as metrics/evaluate.json has it."""
    return f"scores/{measure}/{genre}"


def of_the_run(name: str) -> str:
    """What is told of attempts, restarts and their costs."""
    return f"run/{name}"


def older(name: str) -> str:
    """What a metric was called before there were sections: stores that were filled then are still read."""
    section, _, rest = name.partition("/")
    if section == "scores":
        measure, _, genre = rest.partition("/")
        return f"{genre}.{measure}"
    return rest.replace("validation_bits.", "validation_bits_per_sample.")


def accepted(name: str) -> str:
    """A name that MLflow takes: genres may have other signs in theirs (R&B)."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("&", "and").replace("+", "plus"))
