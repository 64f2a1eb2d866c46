"""The styles the demo library is composed in, one module a genre.

Each is a pure function (generator, index, duration in seconds) → Score. `index` is the song's number within its
genre: it picks the kind of piece; the generator picks everything else.
"""

from collections.abc import Callable, Mapping

import numpy as np

from src.library.demo.score import Score
from src.library.demo.styles.classical import classical
from src.library.demo.styles.hardcore import hardcore
from src.library.demo.styles.hip import hip
from src.library.demo.styles.metal import metal
from src.library.demo.styles.rock import rock

Style = Callable[[np.random.Generator, int, float], Score]

STYLES: Mapping[str, Style] = {
    "classical": classical,
    "hardcore": hardcore,
    "hip": hip,
    "metal": metal,
    "rock": rock,
}
