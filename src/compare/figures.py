"""The figures of the page: those of the 2019 page, and what it did not have.

In: a `Comparison`. Out: `Drawing`s; nothing is drawn before `style.save` asks for it.
"""

from src.compare import figures_counts, figures_sound, figures_training
from src.compare.comparison import Comparison
from src.compare.style import Drawing

NAMES = ("spectrograms", "bits", "context", "loss", "seconds", "generation", "genres")
"""Every figure there can be."""


def all_drawings(comparison: Comparison) -> dict[str, Drawing]:
    """Every figure there is something for, by name, in the order of the page."""
    candidates = [
        figures_sound.spectrograms(comparison),
        figures_sound.bits(comparison),
        figures_sound.context(comparison),
        figures_training.loss(comparison),
        figures_training.seconds(comparison),
        figures_counts.generation(comparison),
        figures_counts.genres(comparison),
    ]
    return {drawing.name: drawing for drawing in candidates if drawing is not None}
