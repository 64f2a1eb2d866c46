"""Generate audio with the compared checkpoints, for every genre at once.

In: checkpoints/step-20/ and so on, and the `generate` section of the profile; data/clips/ too if clips go on from
held-out songs (`generate.primer_s`). Out: generations/step-20/ with a .wav and an .mp3 for each clip, and the seconds
it took beside the run's journal.

    python -m src.generate
    python -m src.generate --steps 20

Under `torchrun` each process takes every world-size-th checkpoint.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from src import config
from src.base import console, files, options
from src.base.share import Share
from src.clips.clipset import ClipSet
from src.config import Params, step_name
from src.record import checkpoint, layout, metrics, runs, tracking
from src.record.checkpoint import Checkpoint
from src.record.layout import RunFiles

app = console.command_app("Generate audio with the compared checkpoints, for every genre at once.")


class Made(NamedTuple):
    """What MLflow is told of a checkpoint's generation."""

    step: int
    fingerprint: str
    seconds: float
    times_real_time: float


@app.command()
def main(
    steps: options.Steps = None,
    more: options.MoreSteps = None,
    profile: options.Profile = None,
    device: options.Device = None,
    run: Annotated[str | None, typer.Option(help="Generate with another run: a name that src.status lists.")] = None,
) -> None:
    """Generate every genre's clips of the compared checkpoints, or of some."""
    with console.if_slow("Loading what generates ..."):
        from src.generate import clips  # torch takes seconds to load, and --help needs none of it

    share = Share.of_environment()
    run_files = runs.named(run) if run else layout.current()
    params = layout.studied(run_files, config.load(profile=profile, device=device))
    known = checkpoint.steps(run_files.checkpoints)
    chosen = options.parse_steps([*(steps or []), *(more or [])], known) or params.compared_steps
    if params.device == "mps":
        console.say("Sampling does not run on Apple's GPU; it runs on the CPU.")
    held_out = ClipSet.open(Path("data/clips")) if params.profile.generate.primer_s > 0 else None
    made: list[Made] = []
    for together in clips.batches(params, share.mine(chosen)):
        loaded = [checkpoint.load(run_files.checkpoint(number)) for number in together]
        made += _generate(loaded, run_files, params, held_out)
    every = share.gather(made)
    if share.leads and not run_files.passing:
        with console.if_slow("Telling MLflow ..."):
            _log(run_files, every, params)


def _generate(
    loaded: Sequence[Checkpoint], run_files: RunFiles, params: Params, held_out: ClipSet | None
) -> list[Made]:
    """Make the clips of checkpoints that run together, and note what they took."""
    from src.generate import clips

    streams = clips.streams_of(params, loaded[0].genres)
    with ExitStack() as stack:
        folders = []
        for each in loaded:
            folder = run_files.generation(each.step)
            for left in files.leftovers(folder):  # DVC would hash what a killed process left
                files.remove(left)
            folders.append(stack.enter_context(files.replacing(folder)))
            folders[-1].mkdir(parents=True)
        seconds = clips.generate(folders, loaded, params, streams, held_out)
    frames, rate_hz = clips.generated_frames(params), params.profile.clips.rate_hz
    total = len(loaded) * len(streams) * frames
    for each in loaded:
        times = run_files.generation_times(each.step)
        if times is not None:
            # All streams run side by side, so each one took the whole time.
            speed = {"seconds": seconds, "samples_per_s": frames / seconds}
            clip_times = [{"genre": stream.genre, "clip": stream.clip, **speed} for stream in streams]
            name = clips.device_name(params)
            files.write_json(times, {"step": each.step, "seconds": seconds, "device": name, "clips": clip_times})
    times_real_time = total / seconds / rate_hz
    which, duration_s = console.steps([each.step for each in loaded]).capitalize(), params.profile.generate.duration_s
    console.say(
        f"{which}: {len(loaded) * len(streams)} clips of {duration_s:g} s in "
        f"{console.duration(seconds)}, {total / seconds:,.0f} samples/s, {times_real_time:.2f} times real time."
    )
    return [Made(each.step, each.fingerprint, seconds, times_real_time) for each in loaded]


def _log(run_files: RunFiles, made: Sequence[Made], params: Params) -> None:
    """Put the audio and its time into the MLflow run; a warning if MLflow does not take it."""
    try:
        store = tracking.Store()
        trained = runs.trained_with(run_files, params) or params
        for each in made:
            run_id = tracking.study_run(store, each.fingerprint, trained)
            store.files(run_id, run_files.generation(each.step), f"generations/{step_name(each.step)}")
            at = tracking.now_ms()
            store.points(
                run_id,
                [
                    (metrics.GENERATION_SECONDS, each.seconds, at, each.step),
                    (metrics.GENERATION_TIMES_REAL_TIME, each.times_real_time, at, each.step),
                ],
            )
    except tracking.TrackingError as failure:
        folders = ", ".join(f"{run_files.generation(each.step)}/" for each in made)
        console.warn(f"{failure} The audio is in {folders}.")


if __name__ == "__main__":
    console.run(app, shares=True)
