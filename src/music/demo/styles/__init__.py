"""The styles the demo library is composed in, one module a genre.

Each is a pure function (generator, index, duration in seconds) → Score. `index` is the song's number within its
genre: it picks the kind of piece; the generator picks everything else.
"""

from collections.abc import Callable, Mapping

import numpy as np

from src.music.demo.score import Score
from src.music.demo.styles.classical import classical
from src.music.demo.styles.hardcore import hardcore
from src.music.demo.styles.hip import hip
from src.music.demo.styles.metal import metal
from src.music.demo.styles.rock import rock

Style = Callable[[np.random.Generator, int, float], Score]

STYLES: Mapping[str, Style] = {
    "classical": classical,
    "hardcore": hardcore,
    "hip": hip,
    "metal": metal,
    "rock": rock,
}
