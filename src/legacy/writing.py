"""An imported run in our formats (docs/formats.md): journal, generations, times, checkpoints, tables of variables.

In: `Findings`. Out: files below work/runs/<name>/. Each piece is written whole or not at all, and one that is there
already with the same content is left alone, so that importing again changes nothing.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from src.audio import encode
from src.base import console, files, tensorflow_checkpoint
from src.base.errors import Problem
from src.config import step_name
from src.generate import generations
from src.generate.generations import GeneratedClip
from src.legacy import audio, study_2019
from src.legacy.reading import Findings, Training, Wav
from src.record import journal, shipping
from src.record.layout import RunFiles

STEP_FIELDS_INFERRED = ["time_ms"]


def write(place: RunFiles, found: Findings, fingerprint: str) -> list[str]:
    """Write the run. Returns sentences about pieces that could not be imported; everything else is written."""
    folder = place.training
    if folder is None:
        raise Problem(f"The run {place.name} has no folder of its own.")
    notes: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    if found.training:
        _write_lines(folder / journal.NAME, journal_lines(found.training, fingerprint, known=found.known))
    for step in sorted({wav.step for wav in found.wavs}):
        _write_generation(place, found, step, notes)
    for step, content in generation_times(found).items():
        path = place.generation_times(step)
        if path is not None:
            files.write_json(path, content)
    if found.known:
        content = {"genres": study_2019.SONGS, "source": "published with the study; the songs themselves are not"}
        files.write_json(place.metrics / "manifest.json", content)
    _write_checkpoints(place, found, fingerprint, notes)
    return notes


def journal_lines(training: Training, fingerprint: str, *, known: bool) -> Iterator[str]:
    """The journal, in chunks of lines. Nothing is in it that the log does not say or show; times are inferred.

    known: it is the 2019 study, of which is published which computer did which steps.
    """
    log, clock = training.log, training.clock
    following = len(log.steps) - 1
    resumed: dict[int, int] = {}
    for attempt in reversed(training.attempts):
        # An attempt that wrote nothing began where the next one that did began.
        following = attempt.first if attempt.count else following
        resumed[attempt.number] = max(0, int(log.steps[following]) - 1)
    on_second = {number: start + 1 in study_2019.SECOND_COMPUTER for number, start in resumed.items()}
    for attempt in training.attempts:
        number, begin_ms = attempt.number, clock.begin_ms[attempt.number - 1]
        inferred = [] if attempt.began_ms is not None else ["time_ms"]
        inferred += [] if attempt.count else ["start_step"]
        # Without a restart line nothing says who started it, but for what is published of the study.
        inferred += ["automatic"] if attempt.evidence in ("beginning", "step numbers") and not known else []
        line: dict[str, Any] = {
            "kind": "attempt",
            "attempt": number,
            "time_ms": begin_ms,
            "start_step": resumed[number],
            "automatic": attempt.automatic,
            "fingerprint": fingerprint,
            "evidence": attempt.evidence,
        }
        if known:
            line["machine"] = "second computer" if on_second[number] else "first computer"
            line["moved"] = on_second.get(number - 1, on_second[number]) != on_second[number]
        if attempt.inferred:
            line["inferred"] = True
        if inferred:
            line["inferred_fields"] = inferred
        yield json.dumps(line) + "\n"
        tail = f'"inferred_fields": {json.dumps(STEP_FIELDS_INFERRED)}}}\n'
        head = f'{{"kind": "step", "attempt": {number}, "step": '
        last_ms = begin_ms
        for start, times in clock.step_times(log, attempt):
            part = slice(start, start + len(times))
            last_ms = int(times[-1])
            rows = zip(
                log.steps[part].tolist(), log.losses[part].tolist(), log.millis[part].tolist(), times.tolist(),
                strict=True,
            )  # fmt: skip
            yield "".join(
                f'{head}{step}, "loss": {loss}, "seconds": {millis / 1000}, "time_ms": {at}, {tail}'
                for step, loss, millis, at in rows
                if math.isfinite(loss)
            )
        end: dict[str, Any] = {"kind": "end", "attempt": number, "time_ms": last_ms, "cause": "not recorded"}
        if known and on_second.get(number + 1, on_second[number]) != on_second[number]:
            end["cause"] = "moved"
        if attempt.crashed:
            end["cause"] = "crashed"
        if attempt.died_ms is not None:
            end["time_ms"] = attempt.died_ms
        else:
            end["inferred_fields"] = ["time_ms"]
        numbers = np.isfinite(log.losses[attempt.first : attempt.first + attempt.count])
        if not numbers.all():
            last = log.steps[attempt.first + attempt.count - 1]
            end["detail"] = f"steps up to {last:,} whose loss is no number: {np.sum(~numbers):,}"
        yield json.dumps(end) + "\n"


def generation_times(found: Findings) -> dict[int, dict[str, Any]]:
    """Step → what times/generate-<step>.json says: the seconds of each clip, as far as it is known which is which."""
    if found.generation is None or not found.order:
        return {}
    frames = study_2019.CLIP_FRAMES if found.known else None
    result: dict[int, dict[str, Any]] = {}
    for (step, genre), (seconds, shared) in zip(found.order, found.generation.clip_seconds(), strict=True):
        content = result.setdefault(step, {"step": step, "seconds": 0.0, "clips": [], "order_from": found.order_from})
        clip: dict[str, Any] = {"genre": genre, "clip": 1, "seconds": round(seconds, 3), "inferred": True}
        if frames:
            clip["samples_per_s"] = round(frames / seconds, 3)
        if shared:
            clip["share_of_a_longer_interval"] = True
        content["clips"].append(clip)
        content["seconds"] = round(content["seconds"] + seconds, 3)
    return result


def _write_lines(path: Path, lines: Iterator[str]) -> None:
    """Write a text file in pieces, unless the same content is there."""
    fresh = path.with_name(f"{path.name}.new")
    with files.replacing(fresh) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    if path.is_file() and files.sha256_of(path) == files.sha256_of(fresh):
        files.remove(fresh)
        return
    # What was sent of an older journal says nothing of this one.
    files.remove(path.with_name(shipping.MEMORY))
    fresh.replace(path)
    files.fsync(path.parent)


def _write_generation(place: RunFiles, found: Findings, step: int, notes: list[str]) -> None:
    folder = place.generation(step)
    mine = [wav for wav in found.wavs if wav.step == step]
    if _is_there(folder, mine):
        return
    if folder.is_dir() and not _imported(folder):
        aside = folder.with_name(f"generated-{folder.name}")
        files.remove(aside)
        folder.rename(aside)
        notes.append(f"{folder.name}: audio generated here stood in its place; it is now in {aside.name}.")
    receptive_field = found.network.receptive_field if found.network else study_2019.PRIMER_FRAMES
    channels = found.network.quantization_channels if found.network else 256
    clips: list[dict[str, Any]] = []
    with files.replacing(folder) as temporary:
        temporary.mkdir()
        for wav in mine:
            try:
                clips.append(_write_clip(temporary, wav, receptive_field, channels, notes))
            except Problem as problem:
                notes.append(str(problem))
        rates = {clip.pop("rate_hz") for clip in clips}
        content = {
            "step": step,
            "rate_hz": rates.pop() if len(rates) == 1 else study_2019.RATE_HZ,
            "start": "zeros",
            "temperature": 1.0,
            "inferred_fields": ["start", "temperature"],
            "imported": True,
            "clips": clips,
        }
        generations.write(temporary, generations.Generation.model_validate(content))
    if not clips:
        files.remove(folder)


def _write_clip(folder: Path, wav: Wav, receptive_field: int, channels: int, notes: list[str]) -> dict[str, Any]:
    clip = audio.read(wav.path, receptive_field, channels)
    name = f"{wav.genre}.wav"
    with encode.open_wav(folder / name, clip.rate_hz) as file:
        file.write(encode.to_int16(clip.audio))
    encode.mp3_from_wav(folder / name, (folder / name).with_suffix(".mp3"))
    if not clip.on_grid:
        notes.append(f"{wav.path.name}: its samples are not mu-law values (up to {clip.off_grid:.1g} away).")
    if not clip.primer_frames:
        notes.append(f"{wav.path.name}: it does not begin with a receptive field of silence; nothing was taken off.")
    return {
        "file": name,
        "genre": wav.genre,
        "clip": 1,
        "frames": len(clip.codes),
        "primer_frames": 0,
        "sha256": files.sha256_of(folder / name),
        "rate_hz": clip.rate_hz,
        "source": {
            "file": wav.path.name,
            "sha256": wav.sha256,
            "primer_frames_removed": clip.primer_frames,
            "on_mu_law_grid": clip.on_grid,
        },
    }


def _is_there(folder: Path, wavs: list[Wav]) -> bool:
    """Whether the folder holds exactly these clips, whole."""
    named = {clip.source.file: clip for clip in _imported(folder) if clip.source}
    return set(named) == {wav.path.name for wav in wavs} and all(
        getattr(named[wav.path.name].source, "sha256", None) == wav.sha256
        and (folder / f"{wav.genre}.mp3").is_file()
        and (folder / f"{wav.genre}.wav").is_file()
        and files.sha256_of(folder / f"{wav.genre}.wav") == named[wav.path.name].sha256
        for wav in wavs
    )


def _imported(folder: Path) -> tuple[GeneratedClip, ...]:
    """The clips of a folder that an import wrote; empty if something else did, or if its description is damaged."""
    try:
        generation = generations.load(folder)
    except Problem:
        return ()
    return generation.clips if generation.imported else ()


def _write_checkpoints(place: RunFiles, found: Findings, fingerprint: str, notes: list[str]) -> None:
    for index in found.indexes:
        step = index.step or 0
        missing = index.missing()
        table = {
            "step": step,
            "updates": step + 1,
            "parameters": index.parameters,
            "data_files": index.shards,
            "missing": [path.name for path in missing],
            "variables": [
                {"name": variable.name, "type": variable.type, "shape": list(variable.shape), "crc32c": variable.crc}
                for variable in index.variables
            ],
        }
        if place.training is not None:
            files.write_json(place.training / "variables" / f"{step_name(step)}.json", table)
        try:
            tensors = tensorflow_checkpoint.read_tensors(index)
            if found.network is not None:
                _save_checkpoint(place, step, found, fingerprint, tensors)
        except Problem as problem:
            notes.append(str(problem))


def _save_checkpoint(place: RunFiles, step: int, found: Findings, fingerprint: str, tensors: dict[str, Any]) -> None:
    # torch takes a second to load and 200 MB; most folders hold no weights.
    from src.legacy import configuration
    from src.record import checkpoint
    from src.wavenet.reference import from_reference

    network = found.network
    if network is None:
        return
    configuration.check(network, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    genres = found.genres[: network.global_condition_cardinality or 0]
    fresh = checkpoint.Checkpoint(step, fingerprint, genres, network, from_reference(tensors), {})
    folder = place.checkpoint(step)
    try:
        old = checkpoint.load(folder)
        if (old.fingerprint, old.genres, old.model) == (fingerprint, genres, network) and all(
            old.weights[name].equal(tensor) for name, tensor in fresh.weights.items()
        ):
            return
    except Problem:
        pass  # there is none, or a damaged one: it is written below
    checkpoint.save(folder, fresh)
    console.say(f"Checkpoint {step}: {len(tensors)} variables imported.")
