"""Songs and generations as pieces of one length, measured, because several figures depend on the length.

In: audio (time,) and its rate in Hz. Out: `Piece`s and `MeasuredSong`s: sound measures, points of the embeddings and
the fingerprint that copies are searched with.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from src.evaluate import copying, sound
from src.evaluate.embedding import LOG_MEL, Embedding, Points
from src.evaluate.likelihood import Codes
from src.evaluate.spectra import Audio

NOISE_PIECES = 6


@dataclass(frozen=True)
class Piece:
    """What is kept of a stretch of sound of a generation's length."""

    values: Mapping[str, float]
    points: Mapping[str, Points]
    fingerprint: copying.Fingerprint


@dataclass(frozen=True)
class MeasuredSong:
    """What is kept of a song; `points` are of the whole song."""

    genre: str
    pieces: tuple[Piece, ...]
    points: Mapping[str, Points]
    fingerprint: copying.Fingerprint


@dataclass(frozen=True)
class Method:
    """How sounds are measured: rate, encoding, embeddings."""

    rate_hz: int
    encode: Callable[[Audio], Codes]
    embeddings: tuple[Embedding, ...] = (LOG_MEL,)

    def piece(self, audio: Audio, number: int = 0) -> Piece:
        """Measure one stretch of sound; the `number`-th of its kind (costly embeddings take only the first)."""
        return Piece(
            sound.measure(audio, self.rate_hz, self.encode(audio)),
            {
                e.name: e.embed(audio, self.rate_hz, e.hop_s)
                for e in self.embeddings
                if e.pieces is None or number < e.pieces
            },
            copying.fingerprint(audio, self.rate_hz),
        )

    def song(self, audio: Audio, genre: str, length: int, pieces: int, first: int = 0) -> MeasuredSong:
        """Measure a song and some pieces of `length` samples, spread over it, numbered from `first`."""
        return MeasuredSong(
            genre,
            tuple(self.piece(part, first + number) for number, part in enumerate(cut(audio, length, pieces))),
            {e.name: e.embed(audio, self.rate_hz, e.song_hop_s) for e in self.embeddings},
            copying.fingerprint(audio, self.rate_hz),
        )


def cut(audio: Audio, length: int, pieces: int) -> list[Audio]:
    """At most `pieces` stretches of `length` samples that do not overlap, spread over the audio."""
    count = min(pieces, len(audio) // length) if length else 0
    starts = np.linspace(0, len(audio) - length, count).astype(int) if count > 1 else [0] * count
    return [audio[start : start + length] for start in starts]


def shuffled(pieces: Iterable[Audio]) -> list[Audio]:
    """The same samples in random order: what a model that knows only the unigram could do."""
    rng = np.random.default_rng(0)
    return [rng.permutation(piece) for piece in pieces]


def white_noise(length: int, decode: Callable[[Codes], Audio], channels: int) -> list[Audio]:
    """Noise of evenly drawn codes, as an untrained network would emit: the floor."""
    rng = np.random.default_rng(0)
    return [decode(rng.integers(0, channels, length)) for _ in range(NOISE_PIECES)]
