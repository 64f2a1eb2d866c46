"""Batches from clips: the batch of a step as a function of the step.

In: the clip set and the parameters. Out: codes (rows, receptive_field + n) int64 and genre ids (rows,) int64.
"""

import numpy as np
import torch

from src.music.clipset import ClipSet
from src.run.config import Params
from src.wavenet import batches, mulaw


class Feed:
    """Reads what a step trains on."""

    def __init__(self, params: Params, clips: ClipSet, rows: range) -> None:
        self._settings = params.profile.train
        self._seed = params.study.seed
        self._channels = params.profile.model.quantization_channels
        self._clips = clips
        self._rows = rows
        self._train = [index for index, clip in enumerate(clips.clips) if clip.split == "train"]
        self._lengths = [clips.clips[index].frames for index in self._train]
        self._genres = [params.genres.index(clips.clips[index].genre) for index in self._train]
        self._crop = params.profile.model.receptive_field + self._settings.sample_size

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's rows of the batch of a step. Raises `Problem` if a clip is missing or damaged."""
        drawn = batches.draw(
            self._seed,
            step,
            self._settings.batch_size,
            self._crop,
            self._lengths,
            self._genres,
            self._settings.balance,
        )
        mine = [drawn[row] for row in self._rows]
        audio = np.stack([self._clips.read(self._train[clip], start, self._crop) for clip, start in mine])
        codes = mulaw.encode(audio, self._channels)
        return torch.from_numpy(codes), torch.tensor([self._genres[clip] for clip, _ in mine])
