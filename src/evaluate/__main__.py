"""Measure the compared checkpoints and what was generated from them, beside references, with intervals.

In: checkpoints/, data/clips/, generations/ (or those of an imported run). Out: metrics/evaluate.json and
metrics/summary.json (docs/formats.md), and a table. Each section is measured on its own: what is missing gets a
sentence in the file and the rest is still measured. docs/measures.md explains every measure.

    python -m src.evaluate
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import numpy as np
import torch
import typer

from src import config
from src.base import console, files
from src.base.errors import Problem
from src.clips.clipset import Clip, ClipSet
from src.config import Params
from src.evaluate import heldout, likelihood, musicnn, musicnn_weights, result, tables
from src.evaluate import references as listening
from src.evaluate.intervals import Measure
from src.evaluate.result import Evaluation
from src.evaluate.spectra import Audio
from src.generate import generations
from src.record import checkpoint, journal, layout, tracking
from src.record.layout import RunFiles
from src.wavenet import mulaw
from src.wavenet.network import WaveNet

app = console.command_app("Measure the compared checkpoints and what was generated from them.")

CLIPS = Path("data/clips")
SONGS_PER_GENRE = 40
"""Songs of a genre and split whose sound is measured in pieces; likelihood and copying use all."""

SENTENCES = 5
"""Sentences printed; the file has them all."""

Generations = dict[int, dict[str, list[Audio]]]
"""Step → genre → clips."""


@app.command()
def main(
    profile: Annotated[str | None, typer.Option(help="Scale of the study: params/<profile>.yaml.")] = None,
    run: Annotated[str | None, typer.Option(help="Measure a run imported under work/runs/.")] = None,
) -> None:
    """Measure a run's checkpoints and generations."""
    params = config.load(profile=profile)
    place = layout.imported(run) if run else layout.current()
    found = result.to_json(evaluate(place, params, own=run is None))
    files.write_json(place.metrics / "evaluate.json", found)
    files.write_json(place.metrics / "summary.json", result.summary(found))
    for table in (tables.bits(found), tables.sound(found)):
        if table.row_count:
            console.show(table)
    for sentence in found["sentences"][:SENTENCES]:
        console.say(sentence)
    for section, reason in found["why"].items():
        console.warn(f"{section}: {reason}")
    console.say(f"Everything measured: {place.metrics / 'evaluate.json'}")
    if run is None:
        log(place, params, found)


def log(place: RunFiles, params: Params, found: dict[str, Any]) -> None:
    """Put every measure of every checkpoint into the MLflow run, linked to the checkpoint."""
    try:
        store = tracking.Store()
        for name, genres in found["steps"].items():
            step = int(name)
            values = {
                f"{genre}.{measure}": one["value"]
                for genre, row in genres.items()
                for measure, one in row["measures"].items()
                if one["value"] is not None
            }
            about = checkpoint.about(place.checkpoint(step))
            steps = journal.read(place.journal).steps if place.journal else {}
            at = steps[step].time_ms if step in steps else tracking.now_ms()
            run_id = tracking.study_run(store, about.fingerprint, params)
            tracking.log_evaluation(store, run_id, about.fingerprint, step, values, at)
    except Problem as failure:
        console.warn(f"The measures are not in MLflow: {failure}")


def evaluate(place: RunFiles, params: Params, *, own: bool) -> Evaluation:
    """Measure a run. own: it was trained on data/clips/, so its sound can be compared with these songs.

    Raises `Problem` if there is nothing at all to measure.
    """
    channels = params.profile.model.quantization_channels
    found = Evaluation(None if own else place.name, params.genres, float(np.log2(channels)))
    made = read_generations(place, steps_of(place, params, own=own), found)
    room = listening.Room(
        params.profile.clips.rate_hz, lambda audio: codes_of(audio, channels), embeddings(params, found) if own else ()
    )
    torch.set_num_threads(1)  # work is shared out by song: the digits do not depend on the number of threads
    length = min((len(audio) for step in made.values() for clips in step.values() for audio in clips), default=0)
    length = length or round(params.profile.generate.duration_s * room.rate_hz)
    library = None
    if own or checkpoint.steps(place.checkpoints):
        try:
            library = read_clips(ClipSet.open(CLIPS), params, room, length if own else 0, found)
        except Problem as problem:
            found.why["songs"] = str(problem)
    if not own:
        found.why["distance"] = "The music an imported run was trained on is not here, so nothing is compared with it."
    for step in steps_of(place, params, own=own) if found.songs else ():
        score(place.checkpoint(step), step, params, found)
    measure_sound(made, room, library if own else None, params.profile.train.threads, found)
    noise = listening.white_noise(length, lambda codes: mulaw.decode(codes, channels), channels)
    pieces = [room.piece(audio, number) for number, audio in enumerate(noise)]
    found.references["white_noise"] = listening.noise_reference(pieces, found.genres, library, room)
    if not found.measures:
        raise Problem(f"There is nothing to measure: {' '.join(dict.fromkeys(found.why.values()))}")
    return found


def embeddings(params: Params, found: Evaluation) -> tuple[listening.Embedding, ...]:
    """The hand-made embedding, and the trained one where it is installed and hears our rate."""
    if params.profile.clips.rate_hz != musicnn.RATE_HZ:
        found.why["musicnn"] = f"musicnn hears {musicnn.RATE_HZ} Hz; the clips have {params.profile.clips.rate_hz}."
        return (listening.LOG_MEL,)
    try:
        return listening.LOG_MEL, listening.trained(musicnn.Musicnn(musicnn_weights.read()).embed)
    except Problem as problem:
        found.why["musicnn"] = str(problem)
    return (listening.LOG_MEL,)


def steps_of(place: RunFiles, params: Params, *, own: bool) -> tuple[int, ...]:
    """The compared steps; of an imported run, all that have a checkpoint or a generation."""
    if own:
        return params.compared_steps
    return tuple(sorted({*checkpoint.steps(place.checkpoints), *checkpoint.steps(place.generations)}))


def codes_of(audio: Audio, channels: int) -> likelihood.Codes:
    """Mu-law codes (time,) int64."""
    return np.asarray(mulaw.encode(audio, channels), dtype=np.int64)


def read_generations(place: RunFiles, steps: tuple[int, ...], found: Evaluation) -> Generations:
    """All usable generations; what is not usable is explained in `found.why`."""
    made: Generations = {}
    for step in steps:
        try:
            clips, unusable = generations.read(place.generation(step))
        except Problem as problem:
            found.why[f"sound of step {step}"] = str(problem)
            continue
        if unusable:
            found.why[f"sound of step {step}"] = " ".join(unusable)
        for clip in clips:
            made.setdefault(step, {}).setdefault(clip.genre, []).append(clip.audio)
    return made


def read_clips(
    clips: ClipSet, params: Params, room: listening.Room, length: int, found: Evaluation
) -> listening.Library | None:
    """Read every clip once: Markov counts, held-out codes and, in pieces of `length` samples, the sound of the songs.

    length 0: the sound is not needed.
    """
    total = round(params.profile.evaluate.seconds_per_clip * room.rate_hz)
    channels, context = params.profile.model.quantization_channels, params.profile.model.receptive_field
    counts: dict[str, likelihood.Codes] = {}
    songs: list[heldout.Song] = []
    collector = listening.Collector(room, length, SONGS_PER_GENRE)

    def describe(clip: Clip, audio: Audio, wanted: bool) -> tuple[likelihood.Codes, tuple[Any, ...]]:
        torch.set_num_threads(1)
        training = clip.split == "train"
        song = collector.describe(audio, clip.genre, training=training, wanted=wanted) if length else ()
        return room.encode(audio), song

    workers = params.profile.train.threads
    with console.progress("reading the clips", len(clips), "clips") as meter, ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(clips), workers):
            chosen = clips.clips[first : first + workers]
            audios = [clips.read(first + place, 0, clip.frames) for place, clip in enumerate(chosen)]
            wanted = [collector.claim(clip.genre, training=clip.split == "train") for clip in chosen]
            for clip, (codes, song) in zip(chosen, pool.map(describe, chosen, audios, wanted), strict=True):
                if clip.split == "train":
                    counts[clip.genre] = counts.get(clip.genre, 0) + likelihood.count_pairs(codes, channels)
                else:
                    windows = likelihood.spread_windows(clip.frames, context, total, min(room.rate_hz, total))
                    if windows:
                        small = codes.astype(np.uint8 if channels <= 256 else np.int32)
                        songs.append(heldout.Song(clip.genre, small, tuple(windows)))
                if song:
                    collector.add(*song, training=clip.split == "train")
                meter.advance()
    found.songs = tuple(songs)
    found.baselines = heldout.score_baselines(counts, songs)
    if not length:
        return None
    finished, references = collector.finish()
    found.references.update(references)
    return finished


def score(folder: Path, step: int, params: Params, found: Evaluation) -> None:
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
        found.why[f"likelihood of step {step}"] = str(problem)
        return
    network = WaveNet(loaded.model).eval()
    network.load_state_dict(loaded.weights)
    total = heldout.predictions(found.songs, len(params.genres))
    with console.progress(f"scoring step {step}", total, "samples") as meter:
        lock = Lock()

        def advance(samples: int) -> None:
            with lock:
                meter.advance(samples)

        scores = heldout.score(
            network,
            loaded.model.receptive_field,
            found.songs,
            params.genres,
            silence=mulaw.silence(loaded.model.quantization_channels),
            done=advance,
            workers=params.profile.train.threads,
        )
    found.add_scores(step, loaded.model.receptive_field, scores)


def measure_sound(
    made: Generations, room: listening.Room, library: listening.Library | None, workers: int, found: Evaluation
) -> None:
    """Measure every generation, and search it for stretches of training songs."""
    null = [value for songs in library.null().values() for song in songs for value in song] if library else []
    jobs = [(step, genre, clips) for step, by_genre in made.items() for genre, clips in by_genre.items()]

    def measure(job: tuple[int, str, list[Audio]]) -> tuple[dict[str, Measure], dict[str, object] | None]:
        torch.set_num_threads(1)
        _, genre, clips = job
        pieces = [room.piece(audio) for audio in clips]
        row = listening.copying_row(pieces, library, null) if library else None
        return listening.generation(clips, pieces, genre, library, room), row

    with console.progress("measuring generations", len(jobs), "sounds") as meter, ThreadPoolExecutor(workers) as pool:
        for (step, genre, _), (measures, row) in zip(jobs, pool.map(measure, jobs), strict=True):
            found.measures.setdefault(step, {}).setdefault(genre, {}).update(measures)
            if row is not None:
                found.copying.setdefault(step, {})[genre] = row
            meter.advance()


if __name__ == "__main__":
    console.run(app)
