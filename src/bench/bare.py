"""A training with nothing beside the steps: no journal, no checkpoint, no MLflow, no validation.

In: parameters and clips. Out: the loss of each step, the same as `src.train` gives, because it does the same work.
"""

from pathlib import Path

import torch

from src.bench.temporary_study import CLIPS
from src.music.clipset import ClipSet
from src.run.config import Params
from src.run.feed import Feed
from src.run.schedule import learning_rate
from src.wavenet import network, optimizers
from src.wavenet.training import TrainingStep


class BareTraining:
    """Network, optimizer and batches of one process; `step` after `step` from 1 on."""

    def __init__(self, params: Params, root: Path) -> None:
        """root: folder of the study."""
        self._settings = settings = params.profile.train
        torch.set_num_threads(settings.threads)
        torch.use_deterministic_algorithms(True)
        self.model = network.initialise(params.profile.model, params.study.seed)
        optimizer = optimizers.create(settings.optimizer, momentum=settings.momentum, epsilon=settings.epsilon)
        self.state = optimizer.start(dict(self.model.named_parameters()))
        self._update = TrainingStep(
            self.model,
            optimizer,
            self.state,
            precision=settings.precision,
            recompute_activations=settings.recompute_activations,
            l2_regularization=settings.l2_regularization,
            threads=settings.threads,
        )
        self._feed = Feed(params, ClipSet.open(root / CLIPS), range(settings.batch_size))

    def step(self, number: int) -> float:
        """Do one step and return its loss (nats per sample)."""
        return self._update(*self._feed.batch(number), learning_rate(self._settings, number))
