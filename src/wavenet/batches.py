"""Which pieces of which clips a training step sees: a function of seed, step and row, with no state.

Row i of step t is the same however the rows are shared between processes and wherever training was resumed.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from src.base.errors import Problem

Balance = Literal["genre", "song"]

_STREAM = 0x62617463  # keeps these numbers apart from those of the weights and of generation


def draw(
    seed: int,
    step: int,
    batch_size: int,
    crop: int,
    lengths: Sequence[int],
    genres: Sequence[int],
    balance: Balance,
) -> list[tuple[int, int]]:
    """(clip index, first sample) of each row of the batch.

    seed, step: integers >= 0. crop: samples of a row (receptive field plus scored samples). lengths, genres:
    samples and genre id of each clip. balance: draw genres evenly and then a clip within the genre ("genre"),
    or clips evenly ("song"); the start is even over the clip. Clips shorter than `crop` are never drawn;
    if all are, or crop or batch_size is not positive, a `Problem` is raised.
    """
    if crop < 1 or batch_size < 1:
        raise Problem(f"A batch of {batch_size} pieces of {crop} samples cannot be drawn: both must be 1 or more.")
    usable = [index for index, length in enumerate(lengths) if length >= crop]
    if not usable:
        raise Problem(
            f"No clip has the {crop} samples of a training piece (receptive field plus train.sample_size); "
            f"the longest has {max(lengths, default=0)}. Lower train.sample_size or use longer clips."
        )
    groups = _groups(usable, genres) if balance == "genre" else [usable]
    rows = []
    for row in range(batch_size):
        which_group, which_clip, start = _uniforms(seed, step, row)
        group = groups[int(which_group * len(groups))]
        clip = group[int(which_clip * len(group))]
        rows.append((clip, int(start * (lengths[clip] - crop + 1))))
    return rows


def _groups(usable: Sequence[int], genres: Sequence[int]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for index in usable:
        groups.setdefault(genres[index], []).append(index)
    return [groups[genre] for genre in sorted(groups)]


def _uniforms(seed: int, step: int, row: int) -> tuple[float, float, float]:
    """Three numbers in [0, 1) that belong to this row of this step alone (Philox, counter-based)."""
    raw = np.random.Philox(key=[seed, _STREAM], counter=[0, row, step, 0]).random_raw(3)
    first, second, third = ((raw >> np.uint64(11)) * 2.0**-53).tolist()
    return first, second, third
