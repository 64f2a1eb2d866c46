"""The steps of a training, and nothing beside them.

In: parameters, clips, the state to go on from. Out: the loss of each step; weights and optimizer state change in place.
Whatever decides a number of the training is reached from here: the run's fingerprint covers every module that this one
imports, directly or not (`train/run.py`).
"""

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from src.clips.clipset import ClipSet
from src.config import Params, TrainParams
from src.wavenet import batches, device, mulaw, network, optimizers
from src.wavenet.network import WaveNet
from src.wavenet.training import Reduce, TrainingStep


@dataclass(frozen=True)
class State:
    """What a step changes: the network's weights and the optimizer's moments, in place."""

    model: WaveNet
    moments: optimizers.State


def first_state(params: Params) -> State:
    """The state before step 1, on the study's device: weights drawn from its seed, moments as the optimizer begins."""
    model = network.initialise(params.profile.model, params.study.seed).to(device.place(params.device))
    return State(model, _optimizer(params.profile.train).start(dict(model.named_parameters())))


class Training:
    """The updates of one process: `step(1)`, `step(2)` and so on."""

    def __init__(
        self, params: Params, clips: ClipSet, state: State, rows: range | None = None, reduce: Reduce | None = None
    ) -> None:
        """rows: of each batch, that this process computes (all of them). reduce: averages over the processes."""
        settings = params.profile.train
        torch.set_num_threads(settings.threads)
        # use_deterministic_algorithms sets the same, and loads a compiler that is not used here: 2 s at each start.
        torch.set_deterministic_debug_mode("error")
        self._settings = settings
        self._update = TrainingStep(
            state.model,
            _optimizer(settings),
            state.moments,
            precision=settings.precision,
            recompute_activations=settings.recompute_activations,
            l2_regularization=settings.l2_regularization,
            threads=settings.threads,
            reduce=reduce,
        )
        feed = Feed(params, clips, range(settings.batch_size) if rows is None else rows)
        self._feed = Ahead(feed) if next(state.model.parameters()).is_cuda else feed

    def step(self, number: int) -> float:
        """Do a step and return its loss in nats per sample. Raises `Problem` if a clip is damaged."""
        return self._update(*self._feed.batch(number), learning_rate(self._settings, number))

    @property
    def abandon(self) -> Callable[[], None]:
        """Gives up the step under way, from a signal's handler or another thread."""
        return self._update.abandon


class Feed:
    """Reads what a step trains on: the batch of a step is a function of the step."""

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
        """This process's rows of a step's batch: codes (rows, receptive_field + n) int64 and genre ids (rows,) int64.

        Raises `Problem` if a clip is missing or damaged.
        """
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


class Ahead:
    """A feed that reads the batch of the next step while a GPU computes this one, into memory that it can fetch."""

    def __init__(self, feed: Feed, pin: bool = True) -> None:
        self._feed, self._pin = feed, pin
        self._reader = ThreadPoolExecutor(1, "next batch")
        self._next: tuple[int, Future[tuple[torch.Tensor, torch.Tensor]]] | None = None

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """As `Feed.batch`."""
        ready = self._next[1] if self._next is not None and self._next[0] == step else self._read(step)
        codes, genre = ready.result()
        self._next = (step + 1, self._read(step + 1))
        return codes, genre

    def _read(self, step: int) -> "Future[tuple[torch.Tensor, torch.Tensor]]":
        return self._reader.submit(self._pinned, step)

    def _pinned(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        codes, genre = self._feed.batch(step)
        return (codes.pin_memory(), genre) if self._pin else (codes, genre)


def learning_rate(settings: TrainParams, step: int) -> float:
    """Learning rate of a step (from 1): a linear rise over the warm-up, then halving every `half_life_steps`.

    It depends on the step alone, not on the last step, so that a run can be extended.
    """
    rise = min(1.0, step / settings.warmup_steps) if settings.warmup_steps else 1.0
    decay = math.exp2(-step / settings.half_life_steps) if settings.half_life_steps else 1.0
    return settings.learning_rate * rise * decay


def _optimizer(settings: TrainParams) -> optimizers.Optimizer:
    return optimizers.create(settings.optimizer, momentum=settings.momentum, epsilon=settings.epsilon)
