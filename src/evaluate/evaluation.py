"""Measures a run section by section: likelihood, sound, distance, copying. What is missing gets a sentence.

In: the files of a run, data/clips/ and the parameters. Out: `Results`.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from src.base import console
from src.base.errors import Problem
from src.clips.clipset import Clip, ClipSet
from src.config import Params
from src.evaluate import embedding, heldout, likelihood, musicnn, references
from src.evaluate.embedding import LOG_MEL, Embedding
from src.evaluate.measure import Measure
from src.evaluate.pieces import Method, white_noise
from src.evaluate.references import ReferenceSongs
from src.evaluate.result import Results
from src.evaluate.schema import Copying
from src.evaluate.spectra import Audio
from src.generate import generations
from src.record import checkpoint
from src.record.layout import RunFiles
from src.wavenet import mulaw
from src.wavenet.network import WaveNet

CLIPS = Path("data/clips")
SONGS_PER_GENRE = 40
"""Songs of a genre and split whose sound is measured in pieces; likelihood and copying use all."""

Generations = dict[int, dict[str, list[Audio]]]
"""Step → genre → clips."""


def evaluate(files: RunFiles, params: Params, *, own: bool) -> Results:
    """Measure a run. own: it was trained on data/clips/, so its sound can be compared with these songs.

    Raises `Problem` if there is nothing at all to measure.
    """
    channels = params.profile.model.quantization_channels
    results = Results(None if own else files.name, params.genres, float(np.log2(channels)))
    made = read_generations(files, steps_of(files, params, own=own), results)
    method = Method(
        params.profile.clips.rate_hz,
        lambda audio: codes_of(audio, channels),
        embeddings(params, results) if own else (),
    )
    torch.set_num_threads(1)  # work is shared out by song: the digits do not depend on the number of threads
    length = min((len(audio) for step in made.values() for clips in step.values() for audio in clips), default=0)
    length = length or round(params.profile.generate.duration_s * method.rate_hz)
    songs = None
    if own or checkpoint.steps(files.checkpoints):
        try:
            songs = read_clips(ClipSet.open(CLIPS), params, method, length if own else 0, results)
        except Problem as problem:
            results.why["songs"] = str(problem)
    if not own:
        results.why["distance"] = (
            "The music an imported run was trained on is not here, so nothing is compared with it."
        )
    for step in steps_of(files, params, own=own) if results.songs else ():
        score(files.checkpoint(step), step, params, results)
    measure_sound(made, method, songs if own else None, params.profile.train.threads, results)
    noise = white_noise(length, lambda codes: mulaw.decode(codes, channels), channels)
    pieces = [method.piece(audio, number) for number, audio in enumerate(noise)]
    results.references["white_noise"] = references.noise_reference(pieces, results.genres, songs, method)
    if not results.measures:
        raise Problem(f"There is nothing to measure: {' '.join(dict.fromkeys(results.why.values()))}")
    return results


def embeddings(params: Params, results: Results) -> tuple[Embedding, ...]:
    """The hand-made embedding, and the trained one where it is installed and the clips have its rate."""
    if params.profile.clips.rate_hz != musicnn.RATE_HZ:
        results.why["musicnn"] = (
            f"musicnn takes audio at {musicnn.RATE_HZ} Hz; the clips have {params.profile.clips.rate_hz}."
        )
        return (LOG_MEL,)
    try:
        return LOG_MEL, embedding.trained(musicnn.Musicnn(musicnn.read_weights()).embed)
    except Problem as problem:
        results.why["musicnn"] = str(problem)
    return (LOG_MEL,)


def steps_of(files: RunFiles, params: Params, *, own: bool) -> tuple[int, ...]:
    """The compared steps; of an imported run, all that have a checkpoint or a generation."""
    if own:
        return params.compared_steps
    return tuple(sorted({*checkpoint.steps(files.checkpoints), *checkpoint.steps(files.generations)}))


def codes_of(audio: Audio, channels: int) -> likelihood.Codes:
    """Mu-law codes (time,) int64."""
    return np.asarray(mulaw.encode(audio, channels), dtype=np.int64)


def read_generations(files: RunFiles, steps: tuple[int, ...], results: Results) -> Generations:
    """All usable generations; what is not usable is explained in `results.why`."""
    made: Generations = {}
    for step in steps:
        try:
            clips, unusable = generations.read(files.generation(step))
        except Problem as problem:
            results.why[f"sound of step {step}"] = str(problem)
            continue
        if unusable:
            results.why[f"sound of step {step}"] = " ".join(unusable)
        for clip in clips:
            made.setdefault(step, {}).setdefault(clip.genre, []).append(clip.audio)
    return made


def read_clips(clips: ClipSet, params: Params, method: Method, length: int, results: Results) -> ReferenceSongs | None:
    """Read every clip once: Markov counts, held-out codes and, in pieces of `length` samples, the sound of the songs.

    length 0: the sound is not needed.
    """
    total = round(params.profile.evaluate.seconds_per_clip * method.rate_hz)
    channels, context = params.profile.model.quantization_channels, params.profile.model.receptive_field
    counts: dict[str, likelihood.Codes] = {}
    songs: list[heldout.Song] = []
    collector = references.Collector(method, length, SONGS_PER_GENRE)

    def describe(clip: Clip, audio: Audio, wanted: bool) -> tuple[likelihood.Codes, tuple[Any, ...]]:
        torch.set_num_threads(1)
        training = clip.split == "train"
        song = collector.describe(audio, clip.genre, training=training, wanted=wanted) if length else ()
        return method.encode(audio), song

    workers = params.profile.train.threads
    with console.progress("reading the clips", len(clips), "clips") as meter, ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(clips), workers):
            chosen = clips.clips[first : first + workers]
            audios = [clips.read(first + offset, 0, clip.frames) for offset, clip in enumerate(chosen)]
            wanted = [collector.claim(clip.genre, training=clip.split == "train") for clip in chosen]
            for clip, (codes, song) in zip(chosen, pool.map(describe, chosen, audios, wanted), strict=True):
                if clip.split == "train":
                    counts[clip.genre] = counts.get(clip.genre, 0) + likelihood.count_pairs(codes, channels)
                else:
                    windows = likelihood.spread_windows(clip.frames, context, total, min(method.rate_hz, total))
                    if windows:
                        small = codes.astype(np.uint8 if channels <= 256 else np.int32)
                        songs.append(heldout.Song(clip.genre, small, tuple(windows)))
                if song:
                    collector.add(*song, training=clip.split == "train")
                meter.advance()
    results.songs = tuple(songs)
    results.baselines = heldout.score_baselines(counts, songs)
    if not length:
        return None
    reference_songs, measures = collector.finish()
    results.references.update(measures)
    return reference_songs


def score(folder: Path, step: int, params: Params, results: Results) -> None:
    """Score the held-out songs with one checkpoint, or say why not."""
    try:
        loaded = checkpoint.load(folder)
        if loaded.genres != params.genres:
            raise Problem(f"{folder} knows {', '.join(loaded.genres)}; params.yaml has {', '.join(params.genres)}.")
        if loaded.model.receptive_field > params.profile.model.receptive_field:
            raise Problem(
                f"{folder} needs more context than the network in the parameters: run with its own --profile."
            )
    except Problem as problem:
        results.why[f"likelihood of step {step}"] = str(problem)
        return
    network = WaveNet(loaded.model).eval()
    network.load_state_dict(loaded.weights)
    total = heldout.predictions(results.songs, len(params.genres))
    with console.progress(f"scoring step {step}", total, "samples") as meter:
        lock = Lock()

        def advance(samples: int) -> None:
            with lock:
                meter.advance(samples)

        scores = heldout.score(
            network,
            loaded.model.receptive_field,
            results.songs,
            params.genres,
            silence=mulaw.silence(loaded.model.quantization_channels),
            done=advance,
            workers=params.profile.train.threads,
        )
    results.add_scores(step, loaded.model.receptive_field, scores)


def measure_sound(
    made: Generations, method: Method, songs: ReferenceSongs | None, workers: int, results: Results
) -> None:
    """Measure every generation, and search it for stretches of training songs."""
    jobs = [(step, genre, clips) for step, by_genre in made.items() for genre, clips in by_genre.items()]

    def measure(job: tuple[int, str, list[Audio]]) -> tuple[dict[str, Measure], Copying | None]:
        torch.set_num_threads(1)
        _, genre, clips = job
        pieces = [method.piece(audio) for audio in clips]
        return references.generation(clips, pieces, genre, songs, method)

    with console.progress("measuring generations", len(jobs), "sounds") as meter, ThreadPoolExecutor(workers) as pool:
        for (step, genre, _), (measures, copied) in zip(jobs, pool.map(measure, jobs), strict=True):
            results.measures.setdefault(step, {}).setdefault(genre, {}).update(measures)
            if copied is not None:
                results.copying.setdefault(step, {})[genre] = copied
            meter.advance()
