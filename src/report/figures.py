"""The figures of the page: those of the 2019 page, and what it did not have.

In: a `Comparison`. Out: `Drawing`s; nothing is drawn before `style.save` asks for it.
"""

from src.report import figures_counts, figures_sound, figures_training
from src.report.comparison import Comparison
from src.report.style import Drawing

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
