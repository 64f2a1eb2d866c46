"""Bits per sample on held-out songs while the training goes on.

In: the network and the validation clips. Out: mean bits per sample of each genre. Always the same stretches, nothing
random, no gradient: the training does not notice. `src.evaluate` measures more of each song, with intervals.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from src.clips.clipset import ClipSet
from src.record.journal import Journal, View
from src.record.tracking import now_ms
from src.train.run import Run
from src.wavenet import mulaw
from src.wavenet.network import WaveNet, loss
from src.wavenet.training import uses_the_cpu_s_kernels

if TYPE_CHECKING:
    from src.wavenet.cpu.fused import FusedLoss

STRETCHES, STRETCH_SAMPLES = 3, 1_000
"""Stretches of each held-out clip, spread over it, and scored samples of each: a song's parts differ more than its
seconds. Together they cost about as much as eight thousand samples in one piece."""

MOST_CLIPS = 8
"""Clips of a genre that are scored: a large library holds out hundreds, and the training waits meanwhile."""


class Validation:
    """Scores the same stretches of every held-out clip each time."""

    def __init__(self, run: Run) -> None:
        self._genres = run.params.genres
        self._threads = run.params.profile.train.threads
        self._fused: FusedLoss | None = None
        model = run.params.profile.model
        context = model.receptive_field
        self._clips: list[tuple[int, torch.Tensor]] = []
        """Genre and the codes of its stretches (stretches, context + samples), for each clip."""
        for index in _chosen(run.clips):
            clip = run.clips.clips[index]
            scored = min(STRETCH_SAMPLES, clip.frames - context)
            if scored > 0:
                room = clip.frames - context - scored
                starts = [room * (2 * number + 1) // (2 * STRETCHES) for number in range(STRETCHES)]
                audio = np.stack([run.clips.read(index, start, context + scored) for start in starts])
                codes = mulaw.encode(audio, model.quantization_channels)
                self._clips.append((self._genres.index(clip.genre), torch.from_numpy(codes)))

    def bits_per_sample(self, model: WaveNet, stop: Callable[[], bool]) -> dict[str, float] | None:
        """Genre → mean bits per sample over its held-out clips; None if `stop` said so before all were scored."""
        bits: dict[str, list[float]] = {}
        conditioned = model.config.global_condition_channels is not None
        for genre, codes in self._clips:
            if stop():
                return None
            known = torch.full((len(codes),), genre) if conditioned else None
            bits.setdefault(self._genres[genre], []).append(self._nats(model, codes, known) / math.log(2))
        return {genre: sum(values) / len(values) for genre, values in sorted(bits.items())}

    def _nats(self, model: WaveNet, codes: torch.Tensor, genre: torch.Tensor | None) -> float:
        """The mean loss, as a step computes it where that is faster than the plain network."""
        if uses_the_cpu_s_kernels(model):
            from src.wavenet.cpu.fused import FusedLoss

            self._fused = self._fused or FusedLoss(model.config, threads=self._threads)
            parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
            return float(self._fused.loss(parameters, codes, genre))
        place = next(model.parameters()).device
        with torch.inference_mode():
            return float(loss(model, codes.to(place), None if genre is None else genre.to(place)))


class ScheduledValidation:
    """Scores the network every so many steps, each step once, and writes it to the journal."""

    def __init__(self, run: Run, model: WaveNet, book: Journal, recorded: View, stop_asked: Callable[[], bool]) -> None:
        """stop_asked: whether the training is to end at this step, so that the next attempt scores it."""
        settings = run.params.profile.train
        self._last_step, self._every = settings.steps, settings.validate_every
        self._validation = Validation(run) if self._every else None
        self._model, self._book, self._recorded, self._stop_asked = model, book, recorded, stop_asked

    def at(self, step: int) -> None:
        """Score the network after a step, if it is time and the journal does not have it yet."""
        if self._validation is None or step == 0 or step % self._every or step in self._recorded.validations:
            return
        # It is left out only where the next attempt takes it up: this step is saved then, and it is not the last one.
        bits = self._validation.bits_per_sample(self._model, stop=lambda: step < self._last_step and self._stop_asked())
        if bits is not None:
            self._book.append("validation", step=step, bits_per_sample=bits, time_ms=now_ms())


def _chosen(clips: ClipSet) -> list[int]:
    """Indices of the clips to score: all held-out ones of a genre, or `MOST_CLIPS` of them, evenly spread."""
    held_out: dict[str, list[int]] = {}
    for index, clip in enumerate(clips.clips):
        if clip.split == "validation":
            held_out.setdefault(clip.genre, []).append(index)
    return [
        indices[number * len(indices) // min(MOST_CLIPS, len(indices))]
        for indices in held_out.values()
        for number in range(min(MOST_CLIPS, len(indices)))
    ]
