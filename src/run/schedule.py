"""The learning rate of a step."""

import math

from src.run.config import TrainParams


def learning_rate(settings: TrainParams, step: int) -> float:
    """Learning rate of a step (from 1): a linear rise over the warm-up, then halving every `half_life_steps`.

    It depends on the step alone, not on the last step, so that a run can be extended.
    """
    rise = min(1.0, step / settings.warmup_steps) if settings.warmup_steps else 1.0
    decay = math.exp2(-step / settings.half_life_steps) if settings.half_life_steps else 1.0
    return settings.learning_rate * rise * decay
