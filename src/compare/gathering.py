"""Everything that is compared, read once: the journal, the audio and its times, the measures, the counts.

In: the files of one or two runs (`record/layout.py`). Out: `Comparison`. What is missing or damaged becomes a sentence
in `notes` or in the clip concerned, so that the rest can still be shown; only what the whole comparison stands on (a
step that no run has) is a `Problem`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.base import files
from src.base.errors import Problem
from src.compare import evaluation, sounds
from src.compare.comparison import Clip, Comparison, Counts, Run
from src.config import step_name
from src.generate import generations
from src.generate.generations import GeneratedClip
from src.record import checkpoint, journal
from src.record.layout import RunFiles
from src.wavenet.shape import WaveNetConfig


def gather(runs: Sequence[RunFiles], steps: Sequence[int], genres: Sequence[str] = ()) -> Comparison:
    """Read everything.

    steps: at least one. genres: those to show besides the ones found (the study's, even if nothing was generated).
    Raises `Problem` if a step has neither checkpoint nor audio in the first run.
    """
    wanted = tuple(sorted(set(steps)))
    known = known_steps(runs[0])
    unknown = [step for step in wanted if step not in known]
    if unknown:
        raise Problem(_no_such_step(unknown, known, runs[0]))
    read = [read_run(files_of) for files_of in runs]
    notes = [note for run in read for note in run.notes]
    for run in read:
        for step in wanted:
            if step not in run.known_steps:
                notes.append(f"The run {run.label} has nothing at step {step}.")
            elif step not in run.generated:
                notes.append(_not_generated(step))
    found = {clip.genre for run in read for clip in run.clips}
    return Comparison(wanted, tuple(sorted(found | set(genres))), tuple(read), tuple(dict.fromkeys(notes)))


def known_steps(places: RunFiles) -> list[int]:
    """Steps of a run that have a checkpoint or audio."""
    return sorted({*checkpoint.steps(places.checkpoints), *_generated(places)})


def read_run(places: RunFiles) -> Run:
    """Read one run; what cannot be read is a sentence in its notes."""
    notes: list[str] = []
    view = journal.View()
    if places.journal is None:
        notes.append(
            f"The journal of {'this study' if places.name == 'current' else places.name} is not on this machine: "
            "losses, times and restarts of the training are not shown."
        )
    else:
        try:
            view = journal.read(places.journal)
        except Problem as problem:
            notes.append(str(problem))
    measured = None
    try:
        again = "python -m src.evaluate" + ("" if places.name == "current" else f" --run {places.name}")
        measured = evaluation.load(places.metrics / "evaluate.json", made_by=again)
        notes.extend(measured.why)
    except Problem as problem:
        notes.append(f"Nothing was measured: {problem}")
    generated = _generated(places)
    clips: list[Clip] = []
    batch_seconds: dict[int, float] = {}
    device = ""
    for step in generated:
        try:
            times = _json(places.generation_times(step))
            batch_seconds |= {step: float(times["seconds"])} if "seconds" in times else {}
            device = str(times.get("device") or device)
            clips.extend(_clips(places, step, times))
        except (Problem, ValueError, TypeError, KeyError) as problem:
            notes.append(_sentence(problem, f"The generation of step {step} cannot be read"))
    songs, digest = _counts(places, notes)
    fingerprint, network = _identity(places, view, notes)
    return Run(
        name=places.name,
        fingerprint=fingerprint,
        checkpoints=tuple(checkpoint.steps(places.checkpoints)),
        generated=generated,
        view=view,
        evaluation=measured,
        clips=tuple(clips),
        counts=songs,
        digest=digest,
        network=network,
        batch_seconds=batch_seconds,
        device=device,
        median_losses=_median_losses(places, notes),
        notes=tuple(dict.fromkeys(notes)),
    )


def _clips(places: RunFiles, step: int, times: dict[str, Any]) -> list[Clip]:
    folder = places.generation(step)
    generation = generations.load(folder)
    timed = {(str(item["genre"]), int(item.get("clip", 1))): item for item in times.get("clips", []) if "genre" in item}
    found = []
    for item in generation.clips:
        genre, number, primer = item.genre, item.clip, item.primer_frames
        wav = folder / item.file
        mp3 = wav.with_suffix(".mp3")
        sound, whole, trouble = _sound(wav, mp3, primer, item)
        taken = timed.get((genre, number), {})
        found.append(
            Clip(
                step=step,
                genre=genre,
                number=number,
                sound=sound,
                wav=wav if whole else None,
                mp3=mp3 if sound and mp3.is_file() else None,
                primer_s=primer / generation.rate_hz,
                digest=item.sha256,
                seconds=float(taken["seconds"]) if "seconds" in taken else None,
                samples_per_s=float(taken["samples_per_s"]) if "samples_per_s" in taken else None,
                trouble=trouble,
            )
        )
    return found


def _sound(wav: Path, mp3: Path, primer: int, item: GeneratedClip) -> tuple[sounds.Sound | None, bool, str]:
    """What can be shown of a clip, whether its wav is whole, and what is wrong.

    A damaged wav does not silence the clip: its mp3 is the same sound.
    """
    try:
        sound = sounds.read(wav, primer, frames=item.frames)
    except Problem as problem:
        try:
            return sounds.read(mp3, primer), False, f"{problem} The mp3 is shown instead."
        except Problem:
            return None, False, str(problem)
    if sound.silent:
        return sound, True, "This clip is silent."
    if files.sha256_of(wav) != item.sha256:
        return sound, True, "This file is not the one that was generated: its digest is not that of generation.json."
    return sound, True, ""


def _generated(places: RunFiles) -> tuple[int, ...]:
    return tuple(
        step for step in checkpoint.steps(places.generations) if (places.generation(step) / "generation.json").is_file()
    )


def _json(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one if the file is not there."""
    if not path.is_file():
        return {}
    content = files.read_json(path, made_by="python -m src.generate")
    return content if isinstance(content, dict) else {}


def _identity(places: RunFiles, view: journal.View, notes: list[str]) -> tuple[str, WaveNetConfig | None]:
    """Fingerprint and network: from a checkpoint, or from what an import wrote about the run (about.json)."""
    for step in checkpoint.steps(places.checkpoints):
        try:
            about = checkpoint.about(places.checkpoint(step))
        except Problem:
            continue  # whoever loads the checkpoint reports it; here another one tells the same
        return about.fingerprint, about.model
    fingerprint = next((str(attempt.details.get("fingerprint", "")) for attempt in view.attempts.values()), "")
    network = None
    try:
        written = _json(places.metrics.parent / "about.json") if places.name != "current" else {}
        notes.extend(str(note) for note in written.get("notes", []))
        if "steps" in written:
            notes.append(f"Steps are {written['steps']}.")
        if "network" in written:
            network = WaveNetConfig.model_validate(written["network"])
    except (Problem, ValueError, TypeError) as problem:
        notes.append(_sentence(problem, "What is known of the run cannot be read"))
    return fingerprint, network


def _counts(places: RunFiles, notes: list[str]) -> tuple[tuple[Counts, ...], str]:
    songs: dict[str, int] = {}
    clips: dict[str, dict[str, int]] = {}
    digest = ""
    try:
        manifest, cut = _json(places.metrics / "manifest.json"), _json(places.metrics / "clips.json")
        songs = {str(genre): int(count) for genre, count in manifest.get("genres", {}).items()}
        clips = {str(genre): dict(count) for genre, count in cut.get("genres", {}).items()}
        digest = str(cut.get("digest") or manifest.get("digest") or "")
    except (Problem, ValueError, TypeError, AttributeError) as problem:
        notes.append(_sentence(problem, "The counts of songs cannot be read"))
    return (
        tuple(
            Counts(genre, songs.get(genre), clips.get(genre, {}).get("train"), clips.get(genre, {}).get("validation"))
            for genre in sorted({*songs, *clips})
        ),
        digest,
    )


def _median_losses(places: RunFiles, notes: list[str]) -> dict[int, float]:
    try:
        found = _json(places.metrics / "train.json").get("median_loss_nats", {})
        return {int(step): float(loss) for step, loss in found.items()}
    except (Problem, ValueError, TypeError, AttributeError) as problem:
        notes.append(_sentence(problem, "The recorded losses cannot be read"))
        return {}


def _no_such_step(unknown: list[int], known: list[int], places: RunFiles) -> str:
    names = " and ".join(str(step) for step in unknown)
    if not known:
        return (
            f"There is no checkpoint of step {names}: nothing was trained or imported in {places.checkpoints}. "
            "Make the study's with: dvc repro"
        )
    nearest = ", ".join(str(step) for step in known)
    return f"There is no checkpoint of step {names}. These steps can be compared: {nearest}."


def _not_generated(step: int) -> str:
    return (
        f"Step {step} has a checkpoint ({step_name(step)}), but nothing was generated with it. "
        f"Make its audio with: python -m src.generate --step {step}"
    )


def _sentence(problem: Exception, what: str) -> str:
    return str(problem) if isinstance(problem, Problem) else f"{what} ({type(problem).__name__}: {problem})."
