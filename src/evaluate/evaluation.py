"""Measures a run section by section: likelihood, sound, distance, copying. What is missing gets a sentence.

In: the files of a run, data/clips/ and the parameters. Out: `Results`. Several processes share out clips, songs and
generations; of each result all of them get the whole, in the order in which one process alone has it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import soxr
import torch

from src.base import console
from src.base.errors import Problem
from src.base.share import Share
from src.clips.clipset import ClipSet
from src.config import Params
from src.evaluate import copying, heldout, likelihood, musicnn, references
from src.evaluate.copying import Match
from src.evaluate.embedding import LOG_MEL, Embedding
from src.evaluate.intervals import LEAST_UNITS
from src.evaluate.references import FEWEST_PIECES, Library, MeasuredSong, Method, Piece
from src.evaluate.result import Results
from src.evaluate.spectra import Audio
from src.generate import generations
from src.record import checkpoint
from src.record.checkpoint import Checkpoint
from src.record.layout import RunFiles
from src.wavenet import device, mulaw
from src.wavenet.network import WaveNet, own_thread

CLIPS = Path("data/clips")
PLANTED = 2
"""Training songs of each genre of which a stretch is planted to try the search for copies."""

Generations = dict[int, dict[str, list[Audio]]]
"""Step → genre → clips."""


def evaluate(files: RunFiles, params: Params, *, own: bool, share: Share = Share()) -> Results:
    """Measure a run. own: it was trained on data/clips/, so its sound can be compared with these songs.

    Only the leading process's results are complete. Raises `Problem` if there is nothing at all to measure.
    """
    channels = params.profile.model.quantization_channels
    results = Results(None if own else files.name, params.genres, float(np.log2(channels)))
    steps = steps_of(files, params, own=own)
    rate_hz, made = read_generations(files, steps, params.profile.clips.rate_hz if own else None, results)
    method = Method(rate_hz or params.profile.clips.rate_hz, channels, embeddings(results) if own else ())
    torch.set_num_threads(1)  # work is shared out by song: the digits do not depend on the number of threads
    sounds = [clips for by_genre in made.values() for clips in by_genre.values()]
    length = min((len(audio) for clips in sounds for audio in clips), default=0)
    length = length or round(params.profile.generate.duration_s * method.rate_hz)
    count = max(map(len, sounds), default=params.profile.generate.clips_per_genre)
    library = None
    if own or checkpoint.steps(files.checkpoints):
        try:
            songs = read_clips(ClipSet.open(CLIPS), params, method, (length, count) if own else None, results, share)
            library = Library(songs, method) if songs else None
        except Problem as problem:
            results.why["songs"] = str(problem)
    if not own:
        results.why["distance"] = (
            "The music an imported run was trained on is not here, so nothing is compared with it."
        )
    for step in steps if results.songs else ():
        score(files.checkpoint(step), step, params, results, share)
    with ThreadPoolExecutor(params.profile.train.threads, initializer=own_thread) as pool:
        # Begun before the many short jobs, these do not keep one thread busy while the others have nothing left.
        pieces = count if count >= LEAST_UNITS else FEWEST_PIECES
        long: list[Callable[[], Any]] = [lambda: method.noise(length, pieces)]
        long += [library.detection] if library else []
        begun = [pool.submit(job) for job in share.mine(long)]
        measure_sound(made, method, library, pool, results, share)
        noise, *detection = share.gather([job.result() for job in begun])
    if not share.leads:
        return results
    if not (results.values or results.scores):
        raise Problem(f"There is nothing to measure: {' '.join(dict.fromkeys(results.why.values()))}")
    if library is None:
        values = references.sounds([[piece] for piece in noise])
        results.references["white_noise"] = dict.fromkeys(results.genres, values)
    else:
        results.references = library.references(noise)
        results.spreads = {genre: references.spreads(library.of(genre, training=False)) for genre in library.genres}
        (results.detection,) = detection
    return results


def embeddings(results: Results) -> tuple[Embedding, ...]:
    """The hand-made embedding, and the trained ones where they are installed."""
    try:
        return LOG_MEL, *musicnn.embeddings()
    except Problem as problem:
        results.why["musicnn"] = str(problem)
    return (LOG_MEL,)


def steps_of(files: RunFiles, params: Params, *, own: bool) -> tuple[int, ...]:
    """The compared steps; of an imported run or a preview, all that have a checkpoint or a generation."""
    if own and not files.passing:
        return params.compared_steps
    return tuple(sorted({*checkpoint.steps(files.checkpoints), *checkpoint.steps(files.generations)}))


def read_generations(
    files: RunFiles, steps: tuple[int, ...], rate_hz: int | None, results: Results
) -> tuple[int | None, Generations]:
    """All usable generations, at one rate; what is not usable is explained in `results.why`.

    rate_hz: None: that of the first clip. An imported run has a rate of its own.
    """
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
            rate_hz = rate_hz or clip.rate_hz
            audio = clip.audio if clip.rate_hz == rate_hz else soxr.resample(clip.audio, clip.rate_hz, rate_hz)
            made.setdefault(step, {}).setdefault(clip.genre, []).append(audio)
    return rate_hz, made


def read_clips(
    clips: ClipSet,
    params: Params,
    method: Method,
    pieces: tuple[int, int] | None,
    results: Results,
    share: Share = Share(),
) -> tuple[MeasuredSong, ...]:
    """Read every clip once: Markov counts, the songs to score and, in pieces, their sound.

    pieces: samples of a piece, and how many clips are generated for each genre; None: the sound is not needed. Of
    training songs as many of each genre are scored as of held-out ones, half as long.
    """
    rate_hz = params.profile.clips.rate_hz
    total = round(params.profile.evaluate.seconds_per_clip * rate_hz)
    context = params.profile.model.receptive_field
    kinds = [(clip.genre, clip.split == "train") for clip in clips.clips]
    length, count = pieces or (0, 0)
    wanted = references.shares(kinds, count)
    seen: Counter[tuple[str, bool]] = Counter()
    place = [seen.update([kind]) or seen[kind] - 1 for kind in kinds]  # of its genre and part, in the clips' order
    counts_here: dict[str, likelihood.Codes] = {}
    described: list[tuple[heldout.Song | None, MeasuredSong | None]] = []
    reading = Lock()

    def describe(index: int) -> tuple[likelihood.Codes | None, heldout.Song | None, MeasuredSong | None]:
        clip, (genre, training) = clips.clips[index], kinds[index]
        with reading:  # a clip set is one thread's at a time
            audio = clips.read(index, 0, clip.frames)
        codes = method.encode(audio)
        pairs = likelihood.count_pairs(codes, method.channels) if training else None
        song = None
        if not training or place[index] < seen[genre, False]:
            samples = max(1, total // 2) if training else total
            song = scored_song(genre, codes, context, samples, rate_hz, method.channels)
        if not length:
            return pairs, song, None
        plant = training and place[index] < PLANTED
        pieces = method.song(audio, genre, training=training, length=length, pieces=wanted[index], plant=plant)
        return pairs, song, pieces

    workers = params.profile.train.threads
    mine = share.mine(range(len(kinds)))
    with (
        console.progress("reading the clips", len(mine), "clips") as meter,
        ThreadPoolExecutor(workers, initializer=own_thread) as pool,
    ):
        for index, (pairs, song, pieces_of_it) in zip(mine, pool.map(describe, mine), strict=True):
            if pairs is not None:
                add(counts_here, {kinds[index][0]: pairs})
            described.append((song, pieces_of_it))
            meter.advance()
    counts: dict[str, likelihood.Codes] = {}
    for part in share.gather([counts_here]):
        add(counts, part)
    songs, measured = zip(*share.gather(described), strict=True)
    results.songs = tuple(song for song, (_, training) in zip(songs, kinds, strict=True) if song and not training)
    results.training = tuple(song for song, (_, training) in zip(songs, kinds, strict=True) if song and training)
    with console.if_slow("Scoring what the network is measured against ..."):
        results.baselines = heldout.score_baselines(counts, results.songs, context, workers, share)
        results.linear_training = heldout.score_linear(results.training, context, method.channels, workers, share)
    return tuple(song for song in measured if song)


def add(counts: dict[str, likelihood.Codes], more: Mapping[str, likelihood.Codes]) -> None:
    """Add a genre's counts to those that are there."""
    for genre, pairs in more.items():
        counts[genre] = counts.get(genre, 0) + pairs


def scored_song(
    genre: str, codes: likelihood.Codes, context: int, samples: int, rate_hz: int, channels: int
) -> heldout.Song | None:
    """The song with the windows of it that are scored, `samples` in all; None if it is too short."""
    windows = likelihood.spread_windows(len(codes), context, samples, min(rate_hz, samples))
    small = codes.astype(np.uint8 if channels <= 256 else np.int32)
    return heldout.Song(genre, small, tuple(windows)) if windows else None


def network_of(loaded: Checkpoint, params: Params) -> WaveNet:
    """A checkpoint's network on the study's device."""
    network = WaveNet(loaded.model).eval()
    network.load_state_dict(loaded.weights)
    return network.to(device.place(params.device))


def logits_of(network: WaveNet) -> likelihood.Network:
    """The network as a function of codes and genre ids on the CPU."""
    there = next(network.parameters()).device

    def logits(codes: torch.Tensor, genre: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = network(codes.to(there), genre.to(there)).cpu()
        return result

    return logits


def score(folder: Path, step: int, params: Params, results: Results, share: Share = Share()) -> None:
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
    results.checkpoints |= {step: loaded.sha256} if loaded.sha256 else {}
    network = network_of(loaded, params)
    total = heldout.predictions(results.songs, results.training, len(params.genres))
    with console.progress(f"scoring step {step}", total / share.world_size, "samples") as meter:
        lock = Lock()

        def advance(samples: int) -> None:
            with lock:
                meter.advance(samples)

        scores = heldout.score(
            logits_of(network),
            loaded.model.receptive_field,
            results.songs,
            params.genres,
            training=results.training,
            channels=loaded.model.quantization_channels,
            silence=mulaw.silence(loaded.model.quantization_channels),
            done=advance,
            workers=params.profile.train.threads,
            total_bits=heldout.fused_bits(network) if params.device == "cpu" else None,
            share=share,
        )
    results.scores[step], results.receptive_fields[step] = scores, loaded.model.receptive_field


def measure_sound(
    made: Generations, method: Method, library: Library | None, pool: Executor, results: Results, share: Share
) -> None:
    """Measure every generation, and search it for stretches of training songs."""
    jobs = [(step, genre, audio) for step, rows in made.items() for genre, clips in rows.items() for audio in clips]

    def measure(job: tuple[int, str, Audio]) -> tuple[Piece, tuple[Match, str | None] | None]:
        piece = method.piece(job[2])
        return piece, library.match(piece) if library else None

    pieces: dict[tuple[int, str], list[tuple[Piece, tuple[Match, str | None] | None]]] = {}
    genres = library.genres if library else []
    begun = [pool.submit(library.held_out_matches, genre) for genre in share.mine(genres)] if library else []
    mine = share.mine(jobs)
    here = []
    with console.progress("measuring generations", len(mine), "sounds") as meter:
        for measured in pool.map(measure, mine):
            here.append(measured)
            meter.advance()
    for (step, genre, _), measured in zip(jobs, share.gather(here), strict=True):
        pieces.setdefault((step, genre), []).append(measured)
    held_out = dict(zip(genres, share.gather([job.result() for job in begun]), strict=True))
    if library:
        library.matches.update(held_out)
    for (step, genre), rows in pieces.items():
        units = [[piece] for piece, _ in rows]
        values = references.sounds(units)
        why: dict[str, str] = {}
        matches = [match for _, match in rows if match is not None]
        if library and matches:
            far, why = library.distances(units, genre)
            values |= far | {"longest_match": np.array([match.duration_s for match, _ in matches])}
            null_s = [duration_s for song in held_out.get(genre, []) for duration_s in song]
            copied = copying.longest_copy(matches, null_s, len(library.searched))
            results.copying.setdefault(step, {})[genre] = copied
        results.values.setdefault(step, {})[genre] = values
        results.reasons.setdefault(step, {})[genre] = why
