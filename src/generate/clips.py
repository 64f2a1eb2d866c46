"""The clips of checkpoints: every genre's streams, run side by side, written to files.

In: checkpoints, the `generate` section, and the held-out songs if clips go on from them. Out: for each checkpoint a
folder with a .wav and an .mp3 of each clip, and generation.json.
"""

import time
from collections.abc import Callable, Iterator, Sequence
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

COMPILING = "Compiling the generation's kernels: some 20 s, once for a network and a number of clips ..."

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


def batches(params: Params, steps: Sequence[int]) -> list[list[int]]:
    """Which checkpoints are run together: on a GPU all, whose streams are too few to fill it one by one."""
    return [list(steps)] if steps and _kind(params) == "cuda" else [[step] for step in steps]


class Session:
    """Checkpoints of one study about to make clips, side by side; the CPU or the GPU is the study's."""

    def __init__(
        self, loaded: Sequence[Checkpoint], params: Params, streams: Sequence[Stream], held_out: ClipSet | None = None
    ) -> None:
        """As for `generate`."""
        settings = params.profile.generate
        self._seed, self._steps, self._streams = params.study.seed, [each.step for each in loaded], streams
        self._sampling = Sampling(
            settings.temperature, settings.top_k, settings.top_p, settings.start, settings.weights
        )
        self._channels = loaded[0].model.quantization_channels
        self.primers = [_primer(held_out, stream, params, self._channels) for stream in streams]
        """Codes that stand before each clip of every checkpoint."""
        self._models = [_network(each, params) for each in loaded]
        self._ids = [loaded[0].genres.index(stream.genre) for stream in streams]
        self._threads = min(params.profile.train.threads, -(-len(streams) // STREAMS_PER_THREAD))

    def codes(self, frames: int, on_progress: Callable[[int], None] | None = None) -> Iterator[NDArray[np.int64]]:
        """The first `frames` new codes of each clip, chunk after chunk: (checkpoints · streams, up to 1600)."""
        return sampler.generate(
            self._models,
            self._ids,
            frames,
            self._numbers,
            self._sampling,
            primers=self.primers,
            threads=self._threads,
            on_progress=on_progress,
        )

    def samples(self, codes: NDArray[np.integer]) -> NDArray[np.int16]:
        """Codes as the WAV file has them."""
        return encode.to_int16(mulaw.decode(codes, self._channels))

    def compile(self) -> None:
        """Make one sample of each clip and forget it: kernels are compiled once on each machine, not in the timing."""
        unprimed, numbers = replace(self._sampling, start="zeros"), np.zeros((len(self._models) * len(self._ids), 1))
        with console.if_slow(COMPILING):
            for _ in sampler.generate(self._models, self._ids, 1, numbers, unprimed, threads=self._threads):
                pass

    def _numbers(self, row: int, start: int, count: int) -> sampler.Doubles:
        network, stream = divmod(row, len(self._streams))
        clip = self._streams[stream].clip
        return sampler.uniforms(self._seed, self._steps[network], self._ids[stream], clip, start, count)


def generate(
    folders: Sequence[Path],
    loaded: Sequence[Checkpoint],
    params: Params,
    streams: Sequence[Stream],
    held_out: ClipSet | None = None,
) -> float:
    """Write the clips of each checkpoint to its folder; returns the seconds the sampling took.

    A clip depends on the seed, the checkpoint, its genre and its number alone, not on what it is made beside; on a GPU
    but for the last digits of its probabilities. held_out: the study's clips, needed if `generate.primer_s` is above 0.
    Raises `Problem` if they have no song of a genre that is long enough.
    """
    rate_hz, frames = params.profile.clips.rate_hz, generated_frames(params)
    session = Session(loaded, params, streams, held_out)
    with ExitStack() as stack:
        wavs = []
        for folder in folders:
            stack.enter_context(encode.written_to(folder))
            wavs += [stack.enter_context(encode.open_wav(folder / stream.file, rate_hz)) for stream in streams]
        for wav, primer in zip(wavs, session.primers * len(folders), strict=True):
            if len(primer):
                wav.write(session.samples(primer))
        session.compile()
        label = f"generating {console.steps([checkpoint.step for checkpoint in loaded])}"
        meter = stack.enter_context(console.progress(label, len(wavs) * frames, "samples"))
        began = time.perf_counter()
        for codes in session.codes(frames, meter.advance):
            for wav, row in zip(wavs, codes, strict=True):
                wav.write(session.samples(row))
        seconds = time.perf_counter() - began
    for folder, checkpoint in zip(folders, loaded, strict=True):
        _finish(folder, checkpoint, params, streams, [len(primer) for primer in session.primers])
    return seconds


def _network(loaded: Checkpoint, params: Params) -> WaveNet:
    model = WaveNet(loaded.model)
    model.load_state_dict(loaded.weights)
    return model.to(device.place(_kind(params)))


def _finish(
    folder: Path, loaded: Checkpoint, params: Params, streams: Sequence[Stream], primer_frames: Sequence[int]
) -> None:
    """Put an MP3 beside each clip, and write generation.json."""
    settings, frames = params.profile.generate, generated_frames(params)
    wavs = [folder / stream.file for stream in streams]
    with encode.written_to(folder), ThreadPoolExecutor(params.profile.train.threads) as pool:
        for _ in pool.map(lambda wav: encode.mp3_from_wav(wav, wav.with_suffix(".mp3")), wavs):
            pass
    clips = []
    for stream, before, path in zip(streams, primer_frames, wavs, strict=True):
        clips.append(
            generations.GeneratedClip(
                file=stream.file,
                genre=stream.genre,
                clip=stream.clip,
                frames=before + frames,
                primer_frames=before,
                sha256=files.sha256_of(path),
            )
        )
    about = generations.Generation(
        step=loaded.step,
        fingerprint=loaded.fingerprint,
        rate_hz=params.profile.clips.rate_hz,
        start=settings.start,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        weights=settings.weights,
        seed=params.study.seed,
        checkpoint_sha256=loaded.sha256,
        clips=tuple(clips),
    )
    generations.write(folder, about)


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
