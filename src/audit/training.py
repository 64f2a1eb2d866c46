"""Whether the training happened: pieces of it are trained again and compared with the journal and the checkpoints.

In: the study, its clips, the auditor's own random numbers. Out: checks. A piece begins with the seed's own weights or
with a kept checkpoint and is trained by `train.step`, the code that every attempt runs. The batch of a step is a
function of the step and nothing else is random, so on the same kind of machine every bit must be the same.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from src.audit.check import Check, decided, unknown
from src.audit.sound import other_machine
from src.audit.study import Study
from src.base import console
from src.base.errors import Problem
from src.config import Params
from src.record import checkpoint
from src.train.step import State, Training, first_state

TRAINED = "training done again"
LOSS_TOLERANCE, STATE_TOLERANCE = 3e-2, 0.25
"""On another kind of machine: of a loss, relative; of weights and of optimizer state as a whole, how far off they are
against how far the piece moved them. docs/audit.md says what was measured."""

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Segment:
    """Steps first..last; `start` is the step of the checkpoint before them, 0 for the beginning."""

    start: int
    end: int
    kept: bool
    """Whether there is a checkpoint of its end."""

    def __str__(self) -> str:
        return f"{self.start + 1:,} to {self.end:,}"


def segments(kept: Sequence[int], last: int, steps: int) -> list[Segment]:
    """Every piece that can be trained again, from the beginning and from each kept checkpoint but the last step.

    Each has `steps` steps, or fewer: it ends at the last kept checkpoint within reach, or at the journal's end.
    """
    found = []
    for start in sorted({0, *kept}):
        reached = [step for step in kept if start < step <= start + steps]
        end = max(reached, default=min(last, start + steps))
        if end > start:
            found.append(Segment(start, end, bool(reached)))
    return found


def chosen(among: Sequence[Segment], count: int, seed: int) -> list[Segment]:
    """Some of them, drawn by the auditor's numbers: who made the study cannot know which."""
    drawn = random.Random(seed).sample(list(among), min(count, len(among)))
    return sorted(drawn, key=lambda segment: segment.start)


def checks(study: Study, params: Params, count: int, steps: int, seed: int) -> Iterator[Check]:
    """Train `count` pieces of at most `steps` steps again. params: the study's, on the device that is used."""
    clips = study.clips
    if count == 0:
        yield unknown(TRAINED, "no piece was to be (--segments 0).")
        return
    if clips is None:
        yield unknown(
            TRAINED, "the clips are not here; without them nobody can train again (--clips names their folder)."
        )
        return
    if clips.digest != study.clips_digest:
        yield unknown(TRAINED, "the clips at hand are not those of the study.")
        return
    last = study.view.last_step
    among = segments([step for step in study.checkpoints if step <= last], last, steps)
    drawn = chosen(among, count, seed)
    elsewhere = other_machine(study, params)
    wrong: list[str] = []
    exact = True
    with console.progress("training again", sum(each.end - each.start for each in drawn), "steps") as meter:
        for segment in drawn:
            try:
                state = _state(study, params, segment.start)
                before = [_copied(state.model.state_dict()), _copied(state.moments)]
                training = Training(params, clips, state)
                losses = {}
                for step in range(segment.start + 1, segment.end + 1):
                    losses[step] = training.step(step)
                    meter.advance()
                problems, same = _compared(study, segment, losses, before, state, bool(elsewhere))
                exact = exact and same
                wrong += problems
            except Problem as problem:
                wrong.append(f"Steps {segment}: {problem}")
    names = "; ".join(f"{each}{' with weights and optimizer state at its end' if each.kept else ''}" for each in drawn)
    how = "bit for bit" if exact else f"within the tolerance of another machine ({elsewhere})"
    covered = sum(each.end - each.start for each in drawn)
    yield decided(
        TRAINED,
        wrong,
        f"{len(drawn)} of {len(among)} pieces that can be, {covered:,} of {last:,} steps, {how}: steps {names}.",
    )


def _state(study: Study, params: Params, step: int) -> State:
    """The state after a step: from the seed for step 0, else from its checkpoint."""
    state = first_state(params)
    if step:
        loaded = checkpoint.load(study.checkpoints[step])
        if loaded.model != params.profile.model or loaded.optimizer.keys() != state.moments.keys():
            raise Problem(f"the checkpoint of step {step:,} is of another network or optimizer.")
        state.model.load_state_dict(loaded.weights)
        for name, saved in loaded.optimizer.items():
            state.moments[name].copy_(saved)
    return state


def _compared(
    study: Study,
    segment: Segment,
    losses: Mapping[int, float],
    before: Sequence[Tensors],
    state: State,
    tolerant: bool,
) -> tuple[list[str], bool]:
    """What is wrong with a piece, and whether it is the same to the bit."""
    exact, wrong = True, []
    for step, loss in losses.items():
        recorded = study.view.steps[step].loss
        exact = exact and loss == recorded
        if loss != recorded and not (tolerant and math.isclose(loss, recorded, rel_tol=LOSS_TOLERANCE)):
            wrong.append(f"Step {step:,}, trained again, has the loss {loss!r}; the journal says {recorded!r}.")
            break  # what follows from it is wrong as well
    if segment.kept and not wrong:
        loaded = checkpoint.load(study.checkpoints[segment.end])
        for what, old, mine, theirs in (
            ("weights", before[0], _copied(state.model.state_dict()), loaded.weights),
            ("optimizer state", before[1], _copied(state.moments), loaded.optimizer),
        ):
            if any(not torch.equal(mine[name], theirs[name]) for name in theirs):
                exact = False
                if not (tolerant and _apart(mine, theirs) <= STATE_TOLERANCE * _apart(old, theirs)):
                    wrong.append(f"Trained again, the {what} of step {segment.end:,} are not those of its checkpoint.")
    return wrong, exact


def _copied(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def _apart(one: Tensors, other: Tensors) -> float:
    """Euclidean distance of two states."""
    return math.sqrt(sum(float((one[name].double() - other[name].double()).square().sum()) for name in other))
