"""The clips of one checkpoint: every genre's streams, run side by side, written to files.

In: a checkpoint, the `generate` section, and the held-out songs if clips go on from them. Out: a .wav and an .mp3 for
each clip, and generation.json.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.audio import encode
from src.base import console, files
from src.base.errors import Problem
from src.clips.clipset import ClipSet
from src.config import Params
from src.generate import generations
from src.record.checkpoint import Checkpoint
from src.wavenet import device, mulaw, sampler
from src.wavenet.network import WaveNet
from src.wavenet.sampling import Sampling

STREAMS_PER_THREAD = 6
"""The CPU's kernel takes so many streams through the network together; fewer are faster on one thread than on two."""

_PRIMER = 0x7072696D  # keeps the choice of songs apart from every other random number


class Stream(NamedTuple):
    """A clip to make."""

    genre: str
    clip: int
    """Its number within the genre, from 1."""

    @property
    def file(self) -> str:
        """rock.wav, rock-2.wav, rock-3.wav …"""
        return f"{self.genre}.wav" if self.clip == 1 else f"{self.genre}-{self.clip}.wav"


def streams_of(params: Params, genres: Sequence[str]) -> list[Stream]:
    """The clips made from one checkpoint."""
    return [Stream(genre, clip) for genre in genres for clip in range(1, params.profile.generate.clips_per_genre + 1)]


def generated_frames(params: Params) -> int:
    """New samples of each clip, the primer not counted."""
    return round(params.profile.generate.duration_s * params.profile.clips.rate_hz)


def device_name(params: Params) -> str:
    """What the clips are made on."""
    return device.name(_kind(params))


def _kind(params: Params) -> device.Kind:
    """The study's device; the CPU where Apple's would be used, on which sample by sample is slower and not tried."""
    return "cpu" if params.device == "mps" else params.device


def generate(
    folder: Path, loaded: Checkpoint, params: Params, streams: Sequence[Stream], held_out: ClipSet | None = None
) -> float:
    """Write the clips to `folder`; returns the seconds the sampling took.

    A clip depends on the seed, the checkpoint, its genre and its number alone, not on what it is made beside.
    held_out: the study's clips, needed if `generate.primer_s` is above 0. Raises `Problem` if they have no song of a
    genre that is long enough.
    """
    settings, rate_hz, frames = params.profile.generate, params.profile.clips.rate_hz, generated_frames(params)
    sampling = Sampling(settings.temperature, settings.top_k, settings.top_p, settings.start, settings.weights)
    channels = loaded.model.quantization_channels
    primers = [_primer(held_out, stream, params, channels) for stream in streams]
    model = WaveNet(loaded.model)
    model.load_state_dict(loaded.weights)
    model.to(device.place(_kind(params)))
    ids = [loaded.genres.index(stream.genre) for stream in streams]
    threads = min(params.profile.train.threads, -(-len(streams) // STREAMS_PER_THREAD))

    def numbers(stream: int, start: int, count: int) -> sampler.Doubles:
        return sampler.uniforms(params.study.seed, loaded.step, ids[stream], streams[stream].clip, start, count)

    with encode.written_to(folder), ExitStack() as stack:
        wavs = [stack.enter_context(encode.open_wav(folder / stream.file, rate_hz)) for stream in streams]
        for wav, primer in zip(wavs, primers, strict=True):
            if len(primer):
                wav.write(encode.to_int16(mulaw.decode(primer, channels)))
        _compile(model, ids, sampling, threads)
        label = f"generating step {loaded.step}"
        meter = stack.enter_context(console.progress(label, len(streams) * frames, "samples"))
        began = time.perf_counter()
        for codes in sampler.generate(
            model, ids, frames, numbers, sampling, primers=primers, threads=threads, on_progress=meter.advance
        ):
            for wav, row in zip(wavs, codes, strict=True):
                wav.write(encode.to_int16(mulaw.decode(row, channels)))
        seconds = time.perf_counter() - began
    wav_paths = [folder / stream.file for stream in streams]
    with encode.written_to(folder), ThreadPoolExecutor(params.profile.train.threads) as pool:
        for _ in pool.map(lambda path: encode.mp3_from_wav(path, path.with_suffix(".mp3")), wav_paths):
            pass
    clips = []
    for stream, primer, path in zip(streams, primers, wav_paths, strict=True):
        clips.append(
            generations.GeneratedClip(
                file=stream.file,
                genre=stream.genre,
                clip=stream.clip,
                frames=len(primer) + frames,
                primer_frames=len(primer),
                sha256=files.sha256_of(path),
            )
        )
    about = generations.Generation(
        step=loaded.step,
        fingerprint=loaded.fingerprint,
        rate_hz=rate_hz,
        start=settings.start,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        weights=settings.weights,
        seed=params.study.seed,
        clips=tuple(clips),
    )
    generations.write(folder, about)
    return seconds


def _primer(held_out: ClipSet | None, stream: Stream, params: Params, channels: int) -> NDArray[np.int64]:
    """Codes (frames,) of the beginning of a held-out song of the genre; none without `generate.primer_s`.

    The seed puts the songs of the genre in an order, and clip n has the n-th of them, from the first again after the
    last. Every checkpoint goes on from the same song.
    """
    frames = round(params.profile.generate.primer_s * params.profile.clips.rate_hz)
    if not frames or held_out is None:
        return np.zeros(0, np.int64)
    songs = [
        (clip.sha256, index)
        for index, clip in enumerate(held_out.clips)
        if clip.genre == stream.genre and clip.split == "validation" and clip.frames >= frames
    ]
    if not songs:
        raise Problem(
            f"No held-out song of {stream.genre} has the {params.profile.generate.primer_s:g} s that generate.primer_s "
            "asks for. Lower it, or make longer clips with: python -m src.clips"
        )
    order = np.random.Generator(np.random.Philox(key=[params.study.seed, _PRIMER])).permutation(len(songs))
    _, index = sorted(songs)[order[(stream.clip - 1) % len(songs)]]
    return mulaw.encode(held_out.read(index, 0, frames), channels)


def _compile(model: WaveNet, ids: list[int], sampling: Sampling, threads: int) -> None:
    """Make one sample of each stream and forget it: kernels are compiled once on each machine, not in the timing."""
    began = time.perf_counter()
    unprimed = replace(sampling, start="zeros")
    for _ in sampler.generate(model, ids, 1, np.zeros((len(ids), 1)), unprimed, threads=threads):
        pass
    seconds = time.perf_counter() - began
    if seconds > 2:
        console.say(f"Compiled the generation's kernels in {console.duration(seconds)} (kept for the next time).")
