"""Everything that is compared, read once: the journal, the audio and its times, the measures, the counts.

In: the files of one or two runs (`record/layout.py`). Out: `Comparison`. What is missing or damaged becomes a sentence
in `notes` or in the clip concerned, so that the rest can still be shown; only what the whole comparison stands on (a
step that no run has) is a `Problem`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.base import files
from src.base.console import listed
from src.base.console import steps as steps_named
from src.base.errors import Problem
from src.compare import songs, sounds
from src.compare.comparison import Clip, Comparison, Counts, Generated, Run
from src.compare.sounds import Sound
from src.evaluate import schema, seeds
from src.generate import generations
from src.generate.generations import GeneratedClip, Generation
from src.record import checkpoint, journal, layout, runs
from src.record.layout import RunFiles
from src.wavenet.shape import WaveNetConfig


def gather(
    runs: Sequence[RunFiles], steps: Sequence[int], genres: Sequence[str] = (), *, with_songs: bool | None = None
) -> Comparison:
    """Read everything.

    steps: at least one. genres: those to show besides those with clips or measures (the study's).
    with_songs: whether songs may be heard; None: only composed ones. Raises `Problem` if a step has neither checkpoint
    nor audio in the first run.
    """
    wanted = tuple(sorted(set(steps)))
    known = known_steps(runs[0])
    unknown = [step for step in wanted if step not in known]
    if unknown:
        raise Problem(_no_such_step(unknown, known, runs[0]))
    heard, songs_note = songs.may_be_heard(with_songs if runs[0].name == "current" else False)
    read = [read_run(paths, with_primer=heard and paths.name == "current") for paths in runs]
    notes = [note for run in read for note in run.notes]
    for run in read:
        there = [step for step in wanted if step in run.known_steps]
        notes += [f"The run {run.label} has nothing at step {step:,}." for step in wanted if step not in there]
        silent = [step for step in there if step not in run.generated]
        if silent:
            notes.append(_not_generated(silent, run))
    all_genres = {*genres, *(clip.genre for run in read for clip in run.clips)}
    all_genres.update(*(run.evaluation.genres for run in read if run.evaluation))
    lengths = [clip.sound.duration_s for clip in read[0].clips if clip.sound]
    reference = {}
    if heard and lengths:
        try:
            reference = songs.held_out(all_genres, min(lengths))
        except Problem as problem:
            notes.append(f"No song can be heard: {problem}")
    if heard and not reference:
        songs_note = songs.UNHEARD
    notes = list(dict.fromkeys(notes))
    return Comparison(wanted, tuple(sorted(all_genres)), tuple(read), tuple(notes), reference, songs_note)


def known_steps(paths: RunFiles) -> list[int]:
    """Steps of a run that have a checkpoint or audio."""
    return sorted({*checkpoint.steps(paths.checkpoints), *_generated(paths)})


def read_run(paths: RunFiles, *, with_primer: bool = False) -> Run:
    """Read one run; what cannot be read is a sentence in its notes. with_primer: a song before a clip may be heard."""
    notes: list[str] = []
    view = journal.View()
    if paths.journal is None:
        notes.append(
            f"The journal of {'this study' if paths.name == 'current' else paths.name} is not on this machine: "
            "losses, times and restarts of the training are not shown."
        )
    else:
        with _noted(notes, "The journal cannot be read"):
            view = journal.read(paths.journal)
    measured = None
    try:
        again = "python -m src.evaluate" + ("" if paths.name == "current" else f" --run {paths.name}")
        measured = schema.read(paths.metrics / "evaluate.json", made_by=again)
        notes.extend(measured.why.values())
    except Problem as problem:
        notes.append(f"Nothing was measured: {problem}")
    clips: list[Clip] = []
    generated: dict[int, Generated] = {}
    for step in _generated(paths):
        generated[step] = Generated(0)
        with _noted(notes, f"The generation of step {step:,} cannot be read"):
            generation = generations.load(paths.generation(step))
            clips.extend(_clips(paths.generation(step), generation, with_primer=with_primer))
            generated[step] = Generated(max((item.clip for item in generation.clips), default=0), seed=generation.seed)
            path = paths.generation_times(step)
            times = _json(path) if path is not None else {}
            each = [float(item["seconds"]) for item in times.get("clips", []) if "seconds" in item]
            seconds = float(times["seconds"]) if "seconds" in times else sum(each) if each else None
            generated[step] = replace(generated[step], seconds=seconds)
    counts, digest = _counts(paths, notes)
    trained = runs.about(paths.training) if paths.own and paths.training else None
    view = view.until(trained.params.profile.train.steps) if trained else view
    digest = trained.clips if trained else digest
    fingerprint, network = _identity(paths, view, notes)
    others = None
    with _noted(notes, "The table of other seeds cannot be read"):
        others = seeds.read(paths.metrics, fingerprint)
    return Run(
        name=paths.name,
        fingerprint=fingerprint,
        checkpoints=tuple(checkpoint.steps(paths.checkpoints)),
        generated=generated,
        view=view,
        evaluation=measured,
        clips=tuple(clips),
        counts=counts,
        digest=digest,
        network=network,
        median_losses=_median_losses(paths, notes),
        notes=tuple(dict.fromkeys(notes)),
        seeds=others,
        trained=trained,
    )


@contextmanager
def _noted(notes: list[str], what: str) -> Iterator[None]:
    """What cannot be read in the block becomes a note. what: the beginning of its sentence, if the error has none."""
    try:
        yield
    except Problem as problem:
        notes.append(str(problem))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        notes.append(f"{what} ({type(error).__name__}: {error}).")


def _clips(folder: Path, generation: Generation, *, with_primer: bool) -> list[Clip]:
    """The first clip of each genre: the page has room for no more, and none is chosen for its sound."""
    firsts: dict[str, GeneratedClip] = {}
    for item in sorted(generation.clips, key=lambda item: item.clip):
        firsts.setdefault(item.genre, item)
    return [
        Clip(generation.step, genre, sound, item.sha256, trouble)
        for genre, item in firsts.items()
        for sound, trouble in [_sound(folder / item.file, item, with_primer=with_primer)]
    ]


def _sound(wav: Path, item: GeneratedClip, *, with_primer: bool) -> tuple[Sound | None, str]:
    """What can be shown of a clip, and what is wrong.

    A damaged wav does not silence the clip: its mp3 is the same sound.
    """
    try:
        sound = sounds.read(wav, item.primer_frames, item.frames, with_primer=with_primer)
    except Problem as problem:
        try:
            mp3 = sounds.read(wav.with_suffix(".mp3"), item.primer_frames, with_primer=with_primer)
            return mp3, f"{problem} The mp3 is shown instead."
        except Problem:
            return None, str(problem)
    if sound.silent:
        return sound, "This clip is silent."
    if files.sha256_of(wav) != item.sha256:
        return sound, "This file is not the one that was generated: its digest is not that of generation.json."
    return sound, ""


def _generated(paths: RunFiles) -> tuple[int, ...]:
    return tuple(
        step for step in checkpoint.steps(paths.generations) if (paths.generation(step) / "generation.json").is_file()
    )


def _json(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one if the file is not there."""
    if not path.is_file():
        return {}
    content = files.read_json(path, made_by="python -m src.generate")
    return content if isinstance(content, dict) else {}


def _identity(paths: RunFiles, view: journal.View, notes: list[str]) -> tuple[str, WaveNetConfig | None]:
    """Fingerprint and network: from a checkpoint, or from what an import wrote about the run (about.json)."""
    for step in checkpoint.steps(paths.checkpoints):
        try:
            about = checkpoint.about(paths.checkpoint(step))
        except Problem:
            continue  # whoever loads the checkpoint reports it; here another one tells the same
        return about.fingerprint, about.model
    fingerprint = next((str(attempt.details.get("fingerprint", "")) for attempt in view.attempts.values()), "")
    network = None
    with _noted(notes, "What is known of the run cannot be read"):
        written = layout.about_import(paths)
        if written is not None:
            # They name files of the imported folder; only those of the 2019 study itself are public.
            there = f"What the import remarked stands in {paths.metrics.parent / layout.ABOUT}."
            notes += written.notes if written.known_study else [there] if written.notes else []
            notes.append(f"Steps are {written.steps}.")
            network = written.network
    return fingerprint, network


def _counts(paths: RunFiles, notes: list[str]) -> tuple[tuple[Counts, ...], str]:
    """Songs and clips of each genre, and the digest over the whole set."""
    songs: dict[str, int] = {}
    clips: dict[str, dict[str, int]] = {}
    digest = ""
    with _noted(notes, "The counts of songs cannot be read"):
        manifest, cut = _json(paths.metrics / "manifest.json"), _json(paths.metrics / "clips.json")
        songs = {str(genre): int(count) for genre, count in manifest.get("genres", {}).items()}
        clips = {str(genre): dict(count) for genre, count in cut.get("genres", {}).items()}
        digest = str(cut.get("digest") or manifest.get("digest") or "")
    return (
        tuple(
            Counts(genre, songs.get(genre), clips.get(genre, {}).get("train"), clips.get(genre, {}).get("validation"))
            for genre in sorted({*songs, *clips})
        ),
        digest,
    )


def _median_losses(paths: RunFiles, notes: list[str]) -> dict[int, float]:
    with _noted(notes, "The recorded losses cannot be read"):
        losses = _json(paths.metrics / "train.json").get("median_loss_nats", {})
        return {int(step): float(loss) for step, loss in losses.items()}
    return {}


def _no_such_step(unknown: list[int], known: list[int], paths: RunFiles) -> str:
    text = f"There is no checkpoint of step {listed([f'{step:,}' for step in unknown])}"
    if not known:
        make = "dvc repro" if paths.name == "current" else f"python -m src.legacy DIR --name {paths.name}"
        return f"{text}: the run has no checkpoint and no audio. Make them with: {make}"
    return f"{text}. These steps can be compared: {listed([f'{step:,}' for step in known])}."


def _not_generated(steps: Sequence[int], run: Run) -> str:
    of, option = ("", "") if run.name == "current" else (f" of {run.label}", f" --run {run.name}")
    return (
        f"Nothing was generated with {steps_named(steps)}{of}. "
        f"Make the audio with: python -m src.generate{option} --steps {' '.join(map(str, steps))}"
    )
