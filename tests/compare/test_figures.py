"""Figures: drawn for what is there, said in words, readable in the dark, told apart."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from src.compare import comparison, figures, figures_training, gathering, style
from src.compare.comparison import Comparison
from src.record import journal, layout
from tests.compare import tiny_run


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A made-up run beside an imported one."""
    root = tiny_run.make(tmp_path_factory.mktemp("figures") / "project", duration_s=0.2)
    tiny_run.make_imported(root, "study-2019", duration_s=0.2)
    return gathering.gather([layout.current(root), layout.imported("study-2019", root)], (20, 300))


@pytest.fixture(scope="module")
def saved(compared: Comparison, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """All figures as files."""
    folder = tmp_path_factory.mktemp("files")
    alone = Comparison(compared.steps, compared.genres, compared.runs[:1])
    dark = dict(style.step_colours(2))
    return {name: style.save(drawing, folder, dark) for name, drawing in figures.all_drawings(alone).items()}


def drawn(compared: Comparison, name: str) -> Iterator[Figure]:
    """A figure in both its forms."""
    with style.drawing_style():
        for narrow in (False, True):
            yield figures.all_drawings(compared)[name].draw(narrow)


def test_all_figures_are_files_that_can_be_read(saved: dict[str, list[Path]]) -> None:
    assert tuple(saved) == ("spectrograms", "bits", "context", "loss", "seconds", "generation", "genres")
    for paths in saved.values():
        for path in paths:
            if path.suffix == ".svg":
                assert ElementTree.parse(path).getroot().tag.endswith("svg")
            else:
                with Image.open(path) as picture:
                    assert picture.width > 1200


def test_every_colour_of_a_figure_has_a_dark_one(saved: dict[str, list[Path]]) -> None:
    """Else dark ink would stand on dark paper."""
    dark = {*style.DARK, *(light for light, _ in style.step_colours(2))}
    for name, paths in saved.items():
        for path in paths:
            if path.suffix == ".svg" and name != "spectrograms":
                text = re.sub(r"<style>.*?</style>", "", path.read_text(encoding="utf-8"), flags=re.S)
                used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", text))
                assert used <= dark, f"{path.name} has {used - dark}"
                assert "prefers-color-scheme:dark" in path.read_text(encoding="utf-8")


def test_no_figure_holds_a_date_or_a_foreign_address(saved: dict[str, list[Path]]) -> None:
    for paths in saved.values():
        for path in paths:
            if path.suffix == ".svg":
                text = path.read_text(encoding="utf-8")
                assert "<dc:date>" not in text
                assert not re.findall(r'(?:href|src)="https?:', text)


def test_every_figure_is_said_in_words(compared: Comparison) -> None:
    drawings = figures.all_drawings(compared)
    assert "Markov 3.90" in drawings["bits"].alt
    assert "rock: 6 songs" in drawings["genres"].alt
    assert "rock, step 300, study-2019: 60.0 s" in drawings["generation"].alt
    assert "Training loss falls from" in drawings["loss"].alt


def test_restarts_by_hand_are_named_and_automatic_ones_are_ticks(compared: Comparison) -> None:
    alone = Comparison(compared.steps, compared.genres, compared.runs[:1])
    for figure in drawn(alone, "loss"):
        axis, rug = figure.axes[:2]
        lines = [np.asarray(line.get_xdata(), np.float64) for line in axis.lines]
        assert [float(x[0]) for x in lines if len(set(x.tolist())) == 1] == [60.0]
        assert "60" in [text.get_text() for text in axis.texts]
        ticks = [float(np.asarray(path.vertices)[0, 0]) for path in rug.collections[0].get_paths()]
        assert ticks == [150.0, 200.0]
    caption = figures.all_drawings(alone)["loss"].caption
    assert "Dashed line: 1 restart by hand; ticks below: 4 automatic restarts at 2 places." in caption


def test_labels_that_would_cover_each_other_are_joined() -> None:
    assert figures_training._clusters([870, 343, 1010, 9000], 600) == [[343, 870, 1010], [9000]]


def test_seconds_far_apart_get_a_logarithmic_scale(compared: Comparison) -> None:
    wide = next(drawn(compared, "seconds"))
    assert wide.axes[0].get_yscale() == "log"  # the imported run is 40 times as slow
    alone = next(drawn(Comparison(compared.steps, compared.genres, compared.runs[:1]), "seconds"))
    assert alone.axes[0].get_yscale() == "linear"


def test_clips_generated_together_have_one_time(compared: Comparison) -> None:
    run = compared.runs[0]
    clips = tuple(comparison.Clip(**{**vars(clip), "seconds": run.batch_seconds[clip.step]}) for clip in run.clips)
    together = comparison.Run(**{**vars(run), "clips": clips})
    drawing = figures.all_drawings(Comparison(compared.steps, compared.genres, (together,)))["generation"]
    assert "generated side by side" in drawing.caption
    assert drawing.alt == "step 20: 6.50 s; step 300: 6.50 s"
    with style.drawing_style():
        assert len(drawing.draw(False).axes[0].patches) == 2


def test_a_run_of_which_nothing_is_known_has_no_figures(compared: Comparison) -> None:
    empty = comparison.Run("empty", "", (), (), journal.View(), None, (), (), "", None, {}, "")
    assert figures.all_drawings(Comparison((20, 300), ("rock",), (empty,))) == {}
