"""Whether the checkpoints predict the held-out songs as well as the measures say.

In: checkpoints, the clips, metrics/evaluate.json. Out: a check. The same windows of the same songs are scored again.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from src.audit.check import Check, decided, unknown
from src.audit.sound import same
from src.audit.study import Study
from src.base import console
from src.config import Params
from src.evaluate import evaluation, likelihood, schema, songwise
from src.evaluate.heldout import Song
from src.record import checkpoint
from src.wavenet import mulaw
from src.wavenet.network import own_thread

HELD_OUT = "bits per sample of held-out songs"


def checks(study: Study, params: Params) -> Iterator[Check]:
    """The headline measure of every compared checkpoint. params: the study's, on the device that is used."""
    if study.clips is None:
        yield unknown(HELD_OUT, "the songs are not at hand (--clips names the folder of their clips).")
        return
    if study.clips.digest != study.clips_digest:
        yield unknown(HELD_OUT, "the clips at hand are not those of the study.")
        return
    said = schema.read(study.run.metrics / "evaluate.json")
    songs = _songs(study, params)
    wrong, count = [], 0
    with console.progress("scoring again", len(songs) * len(study.compared), "songs") as meter:
        for step in study.compared:
            loaded = checkpoint.load(study.run.checkpoint(step))
            network, context = evaluation.logits_of(evaluation.network_of(loaded, params)), loaded.model.receptive_field

            def score(song: Song, network: likelihood.Network = network, context: int = context) -> float:
                genre = params.genres.index(song.genre)
                return float(likelihood.window_bits(network, context, song.codes, song.windows, genre).mean())

            own = []
            with ThreadPoolExecutor(params.profile.train.threads, initializer=own_thread) as pool:
                for bits in pool.map(score, songs):
                    own.append(bits)
                    meter.advance()
            for genre, made in songwise.bits(np.array(own), songs).items():
                count += 1
                there = said.of(step, genre, schema.BITS)
                if there is None or not same(there, made):
                    value = None if there is None else there.value
                    wrong.append(f"{genre} at step {step:,} is {value}; its checkpoint needs {made.value}.")
    yield decided(HELD_OUT, wrong, f"{count:,} figures of {len(songs):,} songs are what the checkpoints need for them.")


def _songs(study: Study, params: Params) -> list[Song]:
    """The held-out songs with their scored windows, as `src.evaluate` chooses them."""
    assert study.clips is not None
    rate_hz, model = params.profile.clips.rate_hz, params.profile.model
    samples = round(params.profile.evaluate.seconds_per_clip * rate_hz)
    found: list[Song] = []
    for index, clip in enumerate(study.clips.clips):
        if clip.split == "validation":
            codes = mulaw.encode(study.clips.read(index, 0, clip.frames), model.quantization_channels)
            song = evaluation.scored_song(
                clip.genre, codes, model.receptive_field, samples, rate_hz, model.quantization_channels
            )
            found += [song] if song else []
    return found
