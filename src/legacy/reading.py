"""Everything in a folder, read once. In: `Source`. Out: `Findings`; what cannot be read is a sentence in its notes."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from src.base import console, files, tensorflow_checkpoint
from src.base.console import listed
from src.base.errors import Problem
from src.base.tensorflow_checkpoint import Index
from src.legacy import attempts, audio, configuration, generation_log, study_2019, training_log
from src.legacy.attempts import Attempt, Clock
from src.legacy.generation_log import Generation
from src.legacy.source import Source
from src.legacy.training_log import TrainingLog
from src.wavenet.shape import WaveNetConfig

T = TypeVar("T")
PUBLISHED = datetime(2016, 9, 12, tzinfo=UTC)
"""WaveNet's paper: no training of it is older."""


@dataclass(frozen=True)
class Training:
    """The log and what follows from it."""

    log: TrainingLog
    attempts: list[Attempt]
    clock: Clock


@dataclass(frozen=True)
class Wav:
    """A generated clip's file."""

    path: Path
    genre: str
    step: int
    sha256: str


@dataclass(frozen=True)
class Findings:
    """What could be read."""

    source: Source
    known: bool
    """Whether this is the 2019 study itself: its training log says what the published one says."""
    training: Training | None
    generation: Generation | None
    order: tuple[tuple[int, str], ...]
    """(step, genre) of each generation in turn; empty if not known."""
    order_from: str
    """Where the order stands."""
    indexes: tuple[Index, ...]
    network: WaveNetConfig | None
    wavs: tuple[Wav, ...]
    genres: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the content of all that was read."""
        parts = [f"log {self.training.log.sha256}"] if self.training else []
        parts += [f"generation {self.generation.stamps_ms}"] if self.generation else []
        parts += [f"index {index.step} {files.sha256_of(index.path)} {len(index.missing())}" for index in self.indexes]
        parts += [f"wav {wav.step} {wav.genre} {wav.sha256}" for wav in self.wavs]
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


def read(source: Source) -> Findings:
    """Read all of it. Raises `Problem` only if nothing at all could be read, or if there are several trainings."""
    notes = list(source.notes)

    def attempted(what: Callable[[], T]) -> T | None:
        try:
            return what()
        except Problem as problem:
            notes.append(str(problem).replace(f"{source.folder}/", ""))
            return None

    generation_path = source.generation
    logs = [(parts, log) for parts in source.logs if (log := attempted(partial(training_log.read, parts))) is not None]
    parts, log = _one_log(source, logs, notes) if logs else ((), None)
    known = log is not None and log.sha256 == study_2019.TRAINING_SHA256
    training = _training(log, known, parts, notes) if log else None
    generation = attempted(lambda: generation_log.read(generation_path)) if generation_path else None
    notes += generation.notes if generation else ()
    indexes = [index for path in source.indexes if (index := attempted(_reader(path))) is not None]
    unnumbered = [index for index in indexes if index.step is None]
    notes += [
        f"{index.path.name}: no step in its name (model.ckpt-20.index); it was not imported." for index in unnumbered
    ]
    indexes = sorted((index for index in indexes if index.step is not None), key=lambda index: index.step or 0)
    params_path = source.wavenet_params
    dilations = attempted(lambda: configuration.dilations_in(params_path)) if params_path else None
    shapes = [index.shapes for index in indexes]
    network = attempted(lambda: configuration.infer(shapes[0], dilations)) if shapes else None
    for index in indexes[1:]:
        attempted(partial(_check, network, index))
    wavs, genres = _wavs(source, network, notes)
    order, order_from = _order(source, generation, known, genres)
    if not (training or generation or indexes or wavs):
        raise Problem("Nothing could be imported:\n" + "\n".join(f"  - {note}" for note in notes))
    # Names of files may be no UTF-8, which no file of ours could hold.
    said = tuple(console.printable(note) for note in notes)
    return Findings(source, known, training, generation, order, order_from, tuple(indexes), network, wavs, genres, said)


def _one_log(
    source: Source, logs: list[tuple[tuple[Path, ...], TrainingLog]], notes: list[str]
) -> tuple[tuple[Path, ...], TrainingLog]:
    """The log that holds all others (one was often copied). Raises `Problem` if none does."""
    logs = sorted(logs, key=lambda found: -len(found[1].steps))
    parts, longest = logs[0]
    names = [str(paths[-1].relative_to(source.folder)) for paths, _ in logs]
    if not all(longest.holds(log) for _, log in logs):
        told = listed([f"{name} ({len(log.steps):,} step lines)" for name, (_, log) in zip(names, logs, strict=True)])
        raise Problem(
            f"{source.folder} holds logs of several trainings: {told}. Nothing was imported, so that nothing is mixed: "
            "give the folder of one, or move the other logs elsewhere."
        )
    notes += [f"{name}: all its lines stand in {names[0]}, which was used." for name in names[1:]]
    if len(parts) > 1:
        notes.append(f"{names[0]} was rotated; its {len(parts)} parts were read as one log.")
    return parts, longest


def _check(network: WaveNetConfig | None, index: Index) -> None:
    """Say so if an index belongs to another network than the first one does."""
    try:
        if network is not None:
            configuration.check(network, index.shapes)
    except Problem as problem:
        raise Problem(f"{index.path.name}: {problem}") from None


def _reader(path: Path) -> Callable[[], Index]:
    return lambda: tensorflow_checkpoint.read_index(path)


def _training(log: TrainingLog, known: bool, parts: tuple[Path, ...], notes: list[str]) -> Training:
    found = attempts.find(log, study_2019.MANUAL_RESTARTS if known else ())
    name, written = parts[-1].name, datetime.fromtimestamp(parts[-1].stat().st_mtime, UTC)
    end_ms = round(written.timestamp() * 1000)
    if all(attempt.began_ms is None and attempt.died_ms is None for attempt in found):
        placed = "its steps are placed before the file's own date"
        if written < PUBLISHED:
            end_ms = round(PUBLISHED.timestamp() * 1000) + int(log.millis.sum(dtype=np.int64))
            placed = f"the file's own date ({written:%Y}) cannot be true, and its steps begin at WaveNet's, 2016-09-12"
        notes.append(f"{name} has no readable time stamp: {placed}.")
    notes += [f"{name}: {remark}" for remark in _remarks(log)]
    return Training(log, found, attempts.clock(log, found, fallback_end_ms=end_ms))


def _remarks(log: TrainingLog) -> Iterator[str]:
    """Sentences on what in a log is not as it should be, without the log's name in front."""
    if log.cut_line:
        yield "the last line is cut off in its middle; it was passed over."
    if log.other_lines - log.cut_line > 0:
        yield f"lines of other kinds, which were passed over: {log.other_lines - log.cut_line:,}."
    if log.doubled:
        yield f"step lines that stand twice in a row, of which each counts once: {log.doubled:,}."
    if log.trainings:
        yield (
            f"it holds {len(log.trainings)} trainings that began from step {log.steps[0]}, of "
            f"{listed([f'{count:,}' for count in log.trainings])} step lines; the longest was imported and no line of "
            "another. For another one, give a copy of the log with its lines alone."
        )
    if log.unknown_zones:
        zones = ", ".join(log.unknown_zones)
        yield f"time zone {zones} is not known here; its stamps were read as UTC."
    unread = sum(restart.time_ms is None for restart in log.restarts)
    if unread:
        yield f"restart lines whose date cannot be read or cannot be true: {unread:,}."
    stamps = [restart.time_ms for restart in log.restarts if restart.time_ms is not None]
    backwards = sum(later < earlier for earlier, later in pairwise(stamps))
    if backwards:
        yield f"{backwards} time stamps go backwards; no downtime is computed across them."
    lost = log.steps[~np.isfinite(log.losses)]
    if len(lost):
        yield (
            f"steps whose loss is no number (nan, infinite), which the journal leaves out: {len(lost):,}, from "
            f"{lost.min():,} to {lost.max():,}."
        )


def _wavs(source: Source, network: WaveNetConfig | None, notes: list[str]) -> tuple[tuple[Wav, ...], tuple[str, ...]]:
    """Clips named by genre and step, and the genres in the order of their ids."""
    cardinality = network.global_condition_cardinality if network else None
    words = sorted({name[0] for path in source.wavs if (name := audio.named(path, ()))})
    spoken = tuple(word for word in words if not word.startswith("genre-"))
    if cardinality is None or len(spoken) == cardinality:
        genres = spoken or study_2019.GENRES
    elif cardinality == len(study_2019.GENRES):
        genres = study_2019.GENRES
    else:
        genres = tuple(f"genre-{number}" for number in range(cardinality))
    found: dict[tuple[int, str], Wav] = {}
    for path in source.wavs:
        name = audio.named(path, genres)
        if name is None:
            notes.append(f"{path.name}: no genre and step in its name (rock_15000.wav); it was not imported.")
        elif (name[1], name[0]) in found:
            notes.append(f"{path.name}: another file has this genre and step; it was not imported.")
        else:
            found[name[1], name[0]] = Wav(path, name[0], name[1], files.sha256_of(path))
    return tuple(found[key] for key in sorted(found)), genres


def _order(
    source: Source, generation: Generation | None, known: bool, genres: tuple[str, ...]
) -> tuple[tuple[tuple[int, str], ...], str]:
    if generation is None:
        return (), ""
    if source.makefile:
        numbered = generation_log.order_in_makefile(source.makefile.read_text(encoding="utf-8", errors="replace"))
        named = tuple((step, genres[number]) for step, number in numbered if number < len(genres))
        if len(named) == generation.clips:
            return named, "the Makefile beside it"
    if known and generation.clips == len(study_2019.GENERATION_ORDER):
        return study_2019.GENERATION_ORDER, "the study's published Makefile"
    return (), ""
