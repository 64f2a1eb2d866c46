"""Generate audio with a checkpoint, for every genre at once.

In: checkpoints/step-20/ and the `generate` section of the profile; data/clips/ too if clips go on from held-out songs
(`generate.primer_s`). Out: generations/step-20/ with a .wav and an .mp3 for each clip, and the seconds it took
beside the run's journal.

    python -m src.generate --step 20
"""

from pathlib import Path
from typing import Annotated

import typer

from src import config
from src.base import console, files, options
from src.base.errors import Problem
from src.clips.clipset import ClipSet
from src.config import Params, step_name
from src.record import checkpoint, layout, tracking
from src.record.checkpoint import Checkpoint
from src.record.layout import RunFiles

app = console.command_app("Generate audio with a checkpoint, for every genre at once.")


@app.command()
def main(
    step: Annotated[str, typer.Option(help="Step of the checkpoint: 20 or 000020.")],
    profile: options.Profile = None,
    device: options.Device = None,
    run: Annotated[str | None, typer.Option(help="Generate with a run under work/runs/ (imported, seed-2020).")] = None,
) -> None:
    """Generate every genre's clips of one checkpoint."""
    from src.generate import clips  # torch takes seconds to load, and --help needs none of it

    params = config.load(profile=profile, device=device)
    run_files = layout.imported(run) if run else layout.current()
    if not step.strip().isdigit():
        raise Problem(f"--step {step!r} is not a step. Write a number, such as 20.")
    if params.device == "mps":
        console.say("Sampling does not run on Apple's GPU; it runs on the CPU.")
    loaded = checkpoint.load(run_files.checkpoint(int(step)))
    held_out = ClipSet.open(Path("data/clips")) if params.profile.generate.primer_s > 0 else None
    streams = clips.streams_of(params, loaded.genres)
    for left in files.leftovers(run_files.generation(loaded.step)):  # DVC would hash what a killed process left
        files.remove(left)
    with files.replacing(run_files.generation(loaded.step)) as temporary:
        temporary.mkdir(parents=True)
        seconds = clips.generate(temporary, loaded, params, streams, held_out)
    frames = clips.generated_frames(params)
    times = run_files.generation_times(loaded.step)
    if times is not None:
        # All streams run side by side, so each one took the whole time.
        each = {"seconds": seconds, "samples_per_s": frames / seconds}
        clip_times = [{"genre": stream.genre, "clip": stream.clip, **each} for stream in streams]
        files.write_json(
            times, {"step": loaded.step, "seconds": seconds, "device": clips.device_name(params), "clips": clip_times}
        )
    total, rate_hz = len(streams) * frames, params.profile.clips.rate_hz
    times_real_time = total / seconds / rate_hz
    console.say(
        f"Step {loaded.step}: {len(streams)} clips of {params.profile.generate.duration_s:g} s in "
        f"{console.duration(seconds)}, {total / seconds:,.0f} samples/s, {times_real_time:.2f} times real time."
    )
    _log(run_files, loaded, params, seconds, times_real_time)


def _log(run_files: RunFiles, loaded: Checkpoint, params: Params, seconds: float, times_real_time: float) -> None:
    """Put the audio and its time into the MLflow run; a warning if MLflow does not take it."""
    try:
        store = tracking.Store()
        trained = layout.trained_with(run_files.name, params) or params
        run_id = tracking.study_run(store, loaded.fingerprint, trained)
        store.files(run_id, run_files.generation(loaded.step), f"generations/{step_name(loaded.step)}")
        at = tracking.now_ms()
        store.points(
            run_id,
            [
                ("generation_seconds", seconds, at, loaded.step),
                ("generation_times_real_time", times_real_time, at, loaded.step),
            ],
        )
    except tracking.TrackingError as failure:
        console.warn(f"{failure} The audio is in {run_files.generation(loaded.step)}/.")


if __name__ == "__main__":
    console.run(app)
