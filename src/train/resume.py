"""Where a training goes on: the newest good checkpoint of which the journal knows every step.

In: the run's folder, the last step in its journal. Out: step, network and optimizer state, the same in every process.
"""

from pathlib import Path

import torch

from src.base import console
from src.config import Params, step_name
from src.record import checkpoint
from src.train.step import State, first_state
from src.train.workers import Workers


def resume(params: Params, fingerprint: str, folder: Path, last_recorded: int, workers: Workers) -> tuple[int, State]:
    """Step and state to go on from: the newest good checkpoint that the journal knows all of."""
    state = first_state(params)
    model, moments = state.model, state.moments
    step = 0
    if workers.leads:
        # A kept checkpoint that is missing or damaged is made again, by going back before it. It is not deleted before
        # its new bytes are there: it may only be out of reach for a moment.
        at_most = last_recorded
        for kept in sorted(params.kept_steps):
            place = folder / "checkpoints" / step_name(kept)
            damage = checkpoint.damage(place, fingerprint, params.profile.model)
            if damage is not None:
                at_most = min(at_most, kept - 1)
            if isinstance(damage, checkpoint.DamagedCheckpointError):
                console.warn(f"{damage} It is made again.")
            elif damage is not None and kept < last_recorded:
                console.warn(f"step {kept} is to be kept and has no checkpoint: the training goes back and makes it.")
        found, passed = checkpoint.newest(
            folder / "checkpoints", at_most=at_most, fingerprint=fingerprint, model=params.profile.model
        )
        for sentence in passed:
            console.warn(f"{sentence} Going back to the one before it.")
        if found is not None:
            step = found.step
            model.load_state_dict(found.weights)
            moments.update(found.optimizer)  # an imported checkpoint has no moments: they start as new
        if last_recorded:
            origin = f"the checkpoint of step {step}" if step else "the beginning: there is no checkpoint yet"
            console.say(f"Going on from {origin}.")
    shared = torch.tensor(step)
    workers.follow_leader([shared, *model.state_dict().values(), *(moments[name] for name in sorted(moments))])
    return int(shared), state
