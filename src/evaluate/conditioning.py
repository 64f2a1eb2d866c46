"""Did the network learn genre? Which genre makes a held-out song most likely, against which it is.

In: bits of each song's windows under every genre. Out: confusion matrix and accuracy with intervals against chance.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.evaluate import intervals
from src.evaluate.likelihood import Floats
from src.evaluate.measure import Measure, wilson
from src.evaluate.schema import Conditioning


def guesses(bits: Sequence[Floats]) -> list[int]:
    """The genre of fewest bits for each song; bits: one (genres, windows) array a song. A tie goes to no genre (-1).

    Without this rule a network that ignores the genre would be right whenever the true genre has the lowest number.
    """
    guessed = []
    for table in bits:
        means = table.mean(axis=1)
        best = np.flatnonzero(means <= means.min() + 1e-9)
        guessed.append(int(best[0]) if len(best) == 1 else -1)
    return guessed


def confusion(truth: Sequence[int], guessed: Sequence[int], genres: int) -> NDArray[np.int64]:
    """Counts (genres, genres): row the true genre, column the guessed one; undecided songs are in no column."""
    table = np.zeros((genres, genres), dtype=np.int64)
    for true, guess in zip(truth, guessed, strict=True):
        if guess >= 0:
            table[true, guess] += 1
    return table


def accuracy(truth: Sequence[int], bits: Sequence[Floats]) -> Measure:
    """Share of songs whose own genre makes them likeliest, with Wilson's interval."""
    hits = sum(true == guess for true, guess in zip(truth, guesses(bits), strict=True))
    return wilson(hits, len(truth), "songs")


def summarise(truth: Sequence[int], bits: Sequence[Floats], genres: Sequence[str]) -> Conditioning:
    """The confusion matrix of whole songs, accuracy over songs (Wilson) and over windows.

    Windows of one song are no independent trials: their accuracy is a mean of each song's share, and its interval
    is over songs.
    """
    guessed = guesses(bits)
    shares = []
    for true, table in zip(truth, bits, strict=True):
        windows = guesses([table[:, column : column + 1] for column in range(table.shape[1])])
        shares.append(float(np.mean([guess == true for guess in windows])))
    return Conditioning(
        genres=tuple(genres),
        confusion=tuple(map(tuple, confusion(truth, guessed, len(genres)).tolist())),
        undecided=sum(guess < 0 for guess in guessed),
        accuracy=accuracy(truth, bits),
        accuracy_windows=intervals.mean(shares, "share", "songs"),
        chance=1 / len(genres),
    )
