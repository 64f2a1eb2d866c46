"""Whether the generations are what the checkpoints give, and their sound measures what the measures say.

In: generations/, checkpoints/, parameters. Out: checks. The first seconds of every clip are made again from checkpoint,
seed and code, all clips of a step side by side, and compared sample by sample.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from src.audit.check import Check, decided, unknown
from src.audit.study import Study
from src.base import console, files
from src.base.errors import Problem
from src.config import Params
from src.evaluate import references, result, schema, sound
from src.evaluate.measure import Measure
from src.evaluate.references import Piece
from src.generate import clips, generations
from src.generate.generations import Generation
from src.record import checkpoint
from src.wavenet import mulaw

FILES, SAMPLES, MEASURES, WITH_SONGS = (
    "generations' files",
    "generations made again",
    "measures of the generations' sound",
    "other measures",
)


def checks(study: Study, audio_s: float, params: Params) -> Iterator[Check]:
    """All of them.

    audio_s: seconds of each clip that are made again. params: the study's, on the device that is used.
    """
    steps = checkpoint.steps(study.run.generations)
    wanted = clips.streams_of(study.params, study.params.genres)
    wrong = [f"There is none of step {step:,}." for step in study.params.compared_steps if step not in steps]
    sound_of: dict[int, Generation] = {}
    for step in steps:
        generation = generations.load(study.run.generation(step))
        problems = list(_files(study, generation, wanted))
        wrong += problems
        if not problems:
            sound_of[step] = generation
    yield decided(
        FILES,
        wrong,
        f"{len(steps)} steps with {len(wanted)} clips each, as the parameters ask and generation.json names.",
    )
    yield _again(study, sound_of, audio_s, params)
    yield from _measures(study, sound_of)


def _files(study: Study, generation: Generation, wanted: list[clips.Stream]) -> Iterator[str]:
    """What is wrong with the generation of a step, before its sound is read."""
    settings, folder = study.params.profile.generate, study.run.generation(generation.step)
    at = f"step {generation.step:,}"
    if folder != study.run.generation(int(folder.name.removeprefix("step-"))) or generation.imported:
        yield f"The generation of {at} is an import, or lies in another step's folder."
    if generation.fingerprint != study.fingerprint:
        yield f"The generation of {at} is of the run {generation.fingerprint}, not {study.fingerprint}."
    for name in ("start", "temperature", "top_k", "top_p", "weights"):
        if getattr(generation, name) != getattr(settings, name):
            yield f"At {at}, {name} is {getattr(generation, name)}; the parameters say {getattr(settings, name)}."
    if (generation.seed, generation.rate_hz) != (study.params.study.seed, study.params.profile.clips.rate_hz):
        yield f"At {at}, seed or rate are not those of the parameters."
    if {(clip.genre, clip.clip) for clip in generation.clips} != {(stream.genre, stream.clip) for stream in wanted}:
        yield f"At {at}, the clips are not those that the parameters ask for."
    for clip in generation.clips:
        path = folder / clip.file
        if clip.frames - clip.primer_frames != clips.generated_frames(study.params):
            yield f"At {at}, {clip.file} has another length than the parameters ask for."
        elif not path.is_file() or files.sha256_of(path) != clip.sha256:
            yield f"At {at}, {clip.file} is not the file that generation.json names."


def _again(study: Study, sound_of: dict[int, Generation], audio_s: float, params: Params) -> Check:
    frames = min(round(audio_s * params.profile.clips.rate_hz), clips.generated_frames(params))
    streams = clips.streams_of(params, params.genres)
    if params.profile.generate.primer_s > 0 and study.clips is None:
        return unknown(SAMPLES, "each clip goes on from a held-out song, and the songs are not at hand.")
    wrong, count = [], 0
    with console.progress("generating again", len(sound_of) * len(streams) * frames, "samples") as meter:
        for step, generation in sound_of.items():
            loaded = checkpoint.load(study.run.checkpoint(step))
            session = clips.Session([loaded], params, streams, study.clips)
            made = np.concatenate(list(session.codes(frames, meter.advance)), axis=1)
            named = {(clip.genre, clip.clip): clip for clip in generation.clips}
            for stream, primer, codes in zip(streams, session.primers, made, strict=True):
                expected = session.samples(np.concatenate([primer, codes]))
                file = named[stream.genre, stream.clip].file
                there = _int16(study.run.generation(step) / file, len(expected))
                count += len(expected)
                if len(there) < len(expected) or (there != expected).any():
                    first = int(np.argmax(there != expected)) if len(there) == len(expected) else len(there)
                    wrong.append(f"At step {step:,}, {file} is another sound from sample {first:,} on.")
    elsewhere = wrong and other_machine(study, params)
    if elsewhere:
        return unknown(
            SAMPLES, f"{elsewhere}, where a last digit may pick another sample: {len(wrong):,} clips part from theirs."
        )
    seconds = frames / params.profile.clips.rate_hz
    return decided(
        SAMPLES,
        wrong,
        f"The first {seconds:g} s of {len(sound_of) * len(streams):,} clips ({count:,} samples) are what the "
        "checkpoints give.",
    )


def _int16(path: Path, frames: int) -> NDArray[np.int16]:
    try:
        samples, _ = soundfile.read(path, frames=frames, dtype="int16")
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise Problem(f"{path} cannot be read as sound ({error}).") from None
    return np.asarray(samples, np.int16).reshape(-1)


def other_machine(study: Study, params: Params) -> str:
    """How what computes here differs from what trained, as the beginning of a sentence; empty if it does not."""
    from src.base import provenance
    from src.wavenet import device

    here = provenance.describe() | {"device": device.name(params.device)}
    for attempt in study.view.attempts.values():
        for key in ("processor", "device", "torch", "numba"):
            before = str(attempt.details.get(key, here.get(key)))
            if before != here.get(key):
                return f"the study was made with {key} {before[:80]} and this is {str(here.get(key))[:80]}"
        if attempt.details.get("machine") != here["machine"] and not any(map(str.isdigit, here["processor"])):
            # As virtual machines have it: "Intel(R) Xeon(R) Processor" is many kinds.
            return f"the study was made on another machine, and {here['processor'][:80]!r} does not say which processor"
        if attempt.details.get("processes", 1) != 1:
            return "several processes trained, and one of them adds in another order"
    return ""


def _measures(study: Study, sound_of: dict[int, Generation]) -> Iterator[Check]:
    """What is measured on the clips alone, measured again."""
    path = study.run.metrics / "evaluate.json"
    if not path.is_file():
        yield unknown(MEASURES, "metrics/evaluate.json is not here.")
        return
    evaluation = schema.read(path)
    rate_hz, channels = study.params.profile.clips.rate_hz, study.params.profile.model.quantization_channels
    jobs = [(step, clip) for step in sound_of for clip in generations.read(study.run.generation(step))[0]]

    def measure(job: tuple[int, generations.Generated]) -> Piece:
        audio = job[1].audio
        return Piece(sound.measure(audio, rate_hz, mulaw.encode(audio, channels)), {}, np.zeros(0, np.uint32))

    pieces: dict[tuple[int, str], list[list[Piece]]] = {}
    workers = study.params.profile.train.threads
    with console.progress("measuring again", len(jobs), "clips") as meter, ThreadPoolExecutor(workers) as pool:
        for (step, clip), piece in zip(jobs, pool.map(measure, jobs), strict=True):
            pieces.setdefault((step, clip.genre), []).append([piece])
            meter.advance()
    wrong, count = [], 0
    for (step, genre), units in pieces.items():
        for name, made in result.measures(references.sounds(units), "clips").items():
            count += 1
            there = evaluation.of(step, genre, name)
            if there is None or not same(there, made):
                value = None if there is None else there.value
                wrong.append(f"{name} of {genre} at step {step:,} is {value}; its clips give {made.value}.")
    yield decided(MEASURES, wrong, f"{count:,} measures with their intervals are what the clips give.")
    yield unknown(
        WITH_SONGS,
        "they compare with songs, which are not at hand (--clips names the folder of their clips)."
        if study.clips is None
        else "they take longer than an audit; `python -m src.evaluate` makes them again from the clips at hand.",
    )


def same(there: Measure, made: Measure) -> bool:
    """Whether two measures are one to the digits of the file, of which another processor may change the last."""
    one, other = asdict(there), asdict(made)
    numbers = ("value", "lo", "hi")
    return all(one[key] == other[key] for key in one if key not in numbers) and all(
        _near(one[key], other[key]) for key in numbers
    )


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.isclose(one, other, rtol=1e-4, atol=1e-6))
