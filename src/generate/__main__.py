"""Generate audio with a checkpoint, for every genre at once.

In: checkpoints/step-20/ and the `generate` section of the profile. Out: generations/step-20/ with a .wav and
an .mp3 for each genre, and the seconds it took in work/times/.

    python -m src.generate --step 20
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from src import config
from src.audio import encode
from src.base import console, files
from src.base.errors import Problem
from src.config import Params, step_name
from src.record import checkpoint, layout, tracking
from src.record.checkpoint import Checkpoint
from src.record.layout import RunFiles
from src.wavenet import mulaw, sampler
from src.wavenet.network import WaveNet

app = console.command_app("Generate audio with a checkpoint, for every genre at once.")

STREAMS_PER_THREAD = 6
"""The CPU's kernel takes so many streams through the network together; fewer are faster on one thread than on two."""

Stream = tuple[str, int]
"""A clip to make: its genre and its number within the genre, from 1."""


@app.command()
def main(
    step: Annotated[str, typer.Option(help="Step of the checkpoint: 20 or 000020.")],
    profile: Annotated[str | None, typer.Option(help="Scale of the study: params/<profile>.yaml.")] = None,
    run: Annotated[str | None, typer.Option(help="Generate with a run imported under work/runs/.")] = None,
) -> None:
    """Generate every genre's clips of one checkpoint."""
    params = config.load(profile=profile)
    place = layout.imported(run) if run else layout.current()
    if not step.strip().isdigit():
        raise Problem(f"--step {step!r} is not a step. Write a number, such as 20.")
    loaded = checkpoint.load(place.checkpoint(int(step)))
    with files.replacing(place.generation(loaded.step)) as temporary:
        temporary.mkdir(parents=True)
        seconds = generate(temporary, loaded, params)
    streams = streams_of(params, loaded.genres)
    frames = round(params.profile.generate.duration_s * params.profile.clips.rate_hz)
    files.write_json(
        place.generation_times(loaded.step),
        {
            "step": loaded.step,
            "seconds": seconds,
            "device": "cpu",
            "clips": [
                # All streams run side by side, so each one took the whole time.
                {"genre": genre, "clip": clip, "seconds": seconds, "samples_per_s": frames / seconds}
                for genre, clip in streams
            ],
        },
    )
    total = len(streams) * frames
    console.say(
        f"Step {loaded.step}: {len(streams)} clips of {params.profile.generate.duration_s:g} s in "
        f"{console.duration(seconds)}, {total / seconds:,.0f} samples/s, "
        f"{total / seconds / params.profile.clips.rate_hz:.2f} times real time."
    )
    log(place, loaded, params, seconds)


def streams_of(params: Params, genres: tuple[str, ...]) -> list[Stream]:
    """The clips made from one checkpoint."""
    return [(genre, clip) for genre in genres for clip in range(1, params.profile.generate.clips_per_genre + 1)]


def threads_for(streams: int, params: Params) -> int:
    """Threads that so many streams keep busy; the samples do not depend on them."""
    return min(params.profile.train.threads, -(-streams // STREAMS_PER_THREAD))


def file_name(genre: str, clip: int) -> str:
    """rock, rock-2, rock-3 …"""
    return genre if clip == 1 else f"{genre}-{clip}"


def generate(folder: Path, loaded: Checkpoint, params: Params) -> float:
    """Write all clips of a checkpoint to `folder`; returns the seconds the sampling took.

    A clip depends on the seed, the checkpoint, its genre and its number alone, not on what it is made beside.
    """
    settings, rate_hz = params.profile.generate, params.profile.clips.rate_hz
    streams = streams_of(params, loaded.genres)
    frames = round(settings.duration_s * rate_hz)
    model = WaveNet(loaded.model)
    model.load_state_dict(loaded.weights)
    ids = [loaded.genres.index(genre) for genre, _ in streams]

    def numbers(stream: int, start: int, count: int) -> sampler.Doubles:
        clip = streams[stream][1]
        return sampler.uniforms(params.study.seed, loaded.step, ids[stream], clip, start, count)

    with ExitStack() as stack:
        wavs = [
            stack.enter_context(encode.open_wav(folder / f"{file_name(*stream)}.wav", rate_hz)) for stream in streams
        ]
        warm_up(model, ids, params)
        label = f"generating step {loaded.step}"
        meter = stack.enter_context(console.progress(label, len(streams) * frames, "samples"))
        began = time.perf_counter()
        for codes in sampler.generate(
            model,
            ids,
            frames,
            numbers,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
            start=settings.start,
            threads=threads_for(len(streams), params),
            on_progress=meter.advance,
        ):
            for wav, row in zip(wavs, codes, strict=True):
                wav.write(encode.to_int16(mulaw.decode(row, loaded.model.quantization_channels)))
        seconds = time.perf_counter() - began
    clips = []
    for genre, clip in streams:
        wav_path = folder / f"{file_name(genre, clip)}.wav"
        encode.mp3_from_wav(wav_path, wav_path.with_suffix(".mp3"))
        clips.append(
            {
                "file": wav_path.name,
                "genre": genre,
                "clip": clip,
                "frames": frames,
                "primer_frames": 0,
                "sha256": files.sha256_of(wav_path),
            }
        )
    files.write_json(
        folder / "generation.json",
        {
            "step": loaded.step,
            "fingerprint": loaded.fingerprint,
            "rate_hz": rate_hz,
            "start": settings.start,
            "temperature": settings.temperature,
            "top_k": settings.top_k,
            "top_p": settings.top_p,
            "seed": params.study.seed,
            "clips": clips,
        },
    )
    return seconds


def warm_up(model: WaveNet, ids: list[int], params: Params) -> None:
    """Make one sample of each stream and forget it: kernels are compiled once on each machine, not in the timing."""
    began = time.perf_counter()
    silence = np.zeros((len(ids), 1))
    for _ in sampler.generate(model, ids, 1, silence, start="zeros", threads=threads_for(len(ids), params)):
        pass
    seconds = time.perf_counter() - began
    if seconds > 2:
        console.say(f"Compiled the generation's kernels in {console.duration(seconds)} (kept for the next time).")


def log(place: RunFiles, loaded: Checkpoint, params: Params, seconds: float) -> None:
    """Put the audio and its time into the MLflow run; a warning if MLflow does not take it."""
    try:
        store = tracking.Store()
        run_id = tracking.study_run(store, loaded.fingerprint, params)
        store.files(run_id, place.generation(loaded.step), f"generations/{step_name(loaded.step)}")
        rate = len(streams_of(params, loaded.genres)) * params.profile.generate.duration_s / seconds
        at = tracking.now_ms()
        store.points(
            run_id,
            [
                ("generation_seconds", seconds, at, loaded.step),
                ("generation_times_real_time", rate, at, loaded.step),
            ],
        )
    except tracking.TrackingError as failure:
        console.warn(f"{failure} The audio is in {place.generation(loaded.step)}/.")


if __name__ == "__main__":
    console.run(app)
