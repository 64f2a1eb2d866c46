"""Bits per sample on held-out songs while the training goes on.

In: the network and the validation clips. Out: mean bits per sample of each genre. Always the same stretches, nothing
random, no gradient: the training does not notice. `src.evaluate` measures more of each song, with intervals.
"""

import math
from collections.abc import Callable

import numpy as np
import torch

from src.clips.clipset import ClipSet
from src.config import Params
from src.record.journal import Journal, View
from src.record.tracking import now_ms
from src.train.stop import Stop
from src.wavenet import mulaw
from src.wavenet.network import WaveNet, loss

STRETCH_SAMPLES = 8_000
"""Scored samples of each held-out clip, taken from its middle."""

MOST_CLIPS = 8
"""Clips of a genre that are scored: a large library holds out hundreds, and the training waits meanwhile."""


class Validation:
    """Scores the same stretch of every held-out clip each time."""

    def __init__(self, params: Params, clips: ClipSet) -> None:
        self._genres = params.genres
        context = params.profile.model.receptive_field
        self._stretches: list[tuple[int, torch.Tensor]] = []
        for index in _chosen(clips):
            clip = clips.clips[index]
            scored = min(STRETCH_SAMPLES, clip.frames - context)
            if scored > 0:
                start = (clip.frames - context - scored) // 2
                audio = clips.read(index, start, context + scored)
                codes = mulaw.encode(audio, params.profile.model.quantization_channels)
                self._stretches.append((params.genres.index(clip.genre), torch.from_numpy(codes[np.newaxis])))

    def bits_per_sample(self, model: WaveNet, stop: Callable[[], bool]) -> dict[str, float] | None:
        """Genre → mean bits per sample over its held-out clips; None if `stop` said so before all were scored."""
        found: dict[str, list[float]] = {}
        conditioned = model.config.global_condition_channels is not None
        with torch.inference_mode():
            for genre, codes in self._stretches:
                if stop():
                    return None
                nats = loss(model, codes, torch.tensor([genre]) if conditioned else None)
                found.setdefault(self._genres[genre], []).append(float(nats) / math.log(2))
        return {genre: sum(bits) / len(bits) for genre, bits in sorted(found.items())}


class ScheduledValidation:
    """Scores the network every so many steps, each step once, and writes it to the journal."""

    def __init__(
        self, params: Params, clips: ClipSet, model: WaveNet, book: Journal, recorded: View, stop: Stop, processes: int
    ) -> None:
        """processes: that train together; more than one have agreed on the next step already, and do it."""
        self._resumable, self._steps = processes == 1, params.profile.train.steps
        self._every = params.profile.train.validate_every
        self._validation = Validation(params, clips) if self._every else None
        self._model, self._book, self._recorded, self._stop = model, book, recorded, stop

    def at(self, step: int) -> None:
        """Score the network after a step, if it is time and the journal does not have it yet."""
        if self._validation is None or step == 0 or step % self._every or step in self._recorded.validations:
            return
        # It is left out only where the next attempt takes it up: this step is saved then, and it is not the last one.
        bits = self._validation.bits_per_sample(
            self._model, stop=lambda: self._resumable and step < self._steps and bool(self._stop.asked)
        )
        if bits is not None:
            self._book.append("validation", step=step, bits_per_sample=bits, time_ms=now_ms())


def _chosen(clips: ClipSet) -> list[int]:
    """Places of the clips to score: all held-out ones of a genre, or `MOST_CLIPS` of them, evenly spread."""
    held_out: dict[str, list[int]] = {}
    for index, clip in enumerate(clips.clips):
        if clip.split == "validation":
            held_out.setdefault(clip.genre, []).append(index)
    return [
        places[number * len(places) // min(MOST_CLIPS, len(places))]
        for places in held_out.values()
        for number in range(min(MOST_CLIPS, len(places)))
    ]
