"""Compare the checkpoints that a training has so far, while it goes on.

In: the run in work/train/ that the parameters and clips mean. Out: its first and newest checkpoints and the compared
ones between, copied to work/runs/preview/; their sound and measures there; a page in reports/compare-preview-…/.
Nothing else is touched: not checkpoints/, metrics/ and the other outputs of DVC, not MLflow, not the run.

    python -m src.preview
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from src import config
from src.base import console, files, options
from src.base.errors import Problem
from src.config import step_name
from src.record import checkpoint, layout
from src.train.run import Run

app = console.command_app("Compare the checkpoints that a training has so far, while it goes on.")

NICENESS = 10
"""The training goes first."""
TRIES = 3


@app.command()
def main(profile: options.Profile = None, device: options.Device = None) -> None:
    """Generate with the first and the newest checkpoint of the training under way, measure and compare them."""
    params = config.load(profile=profile, device=device)
    run = Run.open(params)
    steps = copied(run)
    console.say(f"Generating, measuring, comparing {console.steps(steps)}: some minutes, while the training goes on.")
    os.nice(NICENESS)
    scale = ["--profile", params.study.profile]
    device_too = [*scale, "--device", params.device]
    named = [str(step) for step in steps]
    for stage, more in (
        ("generate", [*device_too, "--steps", *named]),
        ("evaluate", device_too),
        ("compare", [*scale, "--steps", *named]),
    ):
        done = subprocess.run([sys.executable, "-m", f"src.{stage}", "--run", layout.PREVIEW, *more], check=False)
        if done.returncode:
            raise SystemExit(done.returncode)


def copied(run: Run) -> list[int]:
    """Copy checkpoints of the run to where the stages find them as a run of their own; their steps.

    Raises `Problem` if there are not two yet.
    """
    place = layout.preview()
    for attempt in range(TRIES):
        steps = _chosen(run, checkpoint.steps(run.checkpoints))
        try:
            with files.replacing(place.metrics.parent) as temporary:
                for step in steps:
                    shutil.copytree(run.checkpoints / step_name(step), temporary / "checkpoints" / step_name(step))
                (temporary / "metrics").mkdir()
                for name in ("manifest.json", "clips.json"):  # what the page says of the songs
                    if (counts := layout.current().metrics / name).is_file():
                        shutil.copy(counts, temporary / "metrics")
            return steps
        except (FileNotFoundError, shutil.Error):
            # The training deletes older checkpoints as it goes on.
            if attempt == TRIES - 1:
                raise Problem("The training deleted its checkpoints while they were copied. Run this again.") from None
    raise AssertionError("unreachable")


def _chosen(run: Run, there: Sequence[int]) -> list[int]:
    if len(there) < 2:
        has = f"only step {there[0]:,} has" if there else "no step has"
        raise Problem(
            f"There is nothing to compare yet: {has} a checkpoint in {run.checkpoints}. "
            f"One comes every {run.params.profile.train.checkpoint_every:,} steps of: python -m src.train"
        )
    return sorted({there[0], there[-1], *(step for step in run.params.compared_steps if step in there)})


if __name__ == "__main__":
    console.run(app, "nothing of the training was touched.")
