"""The notebook on the 2019 study: executed on a log whose truth is known, and on the study's own files."""

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient.exceptions import CellExecutionError

from notebooks import execute
from tests.legacy import bundles, logs

NOTEBOOK = execute.HERE / "study-2019.ipynb"
TENSORS = {"layer/weights": np.arange(12, dtype=np.float32), "layer/Variable": np.zeros(3, np.float32)}


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Execute the notebook on a folder; gives the text it printed."""

    def on(folder: Path) -> str:
        monkeypatch.setenv("STUDY_2019", str(folder))
        return printed(execute.executed(NOTEBOOK))

    return on


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


def test_it_says_what_a_made_log_holds(tmp_path: Path, executed: Callable[[Path], str]) -> None:
    text = re.sub(r"(step 9 - loss = )[\d.]+", r"\1nan", logs.crashing(40).text)
    (tmp_path / "training.txt").write_text(text)
    (tmp_path / "generation.txt").write_text("".join(f"{1575410687045 + 1000 * k}\n" for k in (0, 2, 3, 4, 5, 6)))
    bundles.write(tmp_path, TENSORS, step=7)
    bundles.write(tmp_path, TENSORS | {"layer/extra": np.ones(2, np.float32)}, step=9)
    says = executed(tmp_path)
    steps = text.count("step ")
    assert f"step lines: {steps:,} of {steps:,} different steps, 1 to {steps:,}" in says
    assert "restart lines: 40 in 40 breakdowns" in says
    assert "39 lives between two stamps" in says
    assert "6 clips in 6.0 s: 1.0 s each" in says
    assert "divided by the 5 intervals instead: 1.2 s" in says
    assert "losses that are no number: 1" in says
    assert "its data file is here" in says
    assert "unchanged from 7 to 9: 2 of 3 variables\n  layer/Variable, all zeros\n  layer/weights\n" in says


def test_the_kept_output_is_what_the_study_gives(executed: Callable[[Path], str]) -> None:
    kept = printed(nbformat.read(NOTEBOOK, as_version=4))
    assert "step lines: 15,005 of 15,004 different steps, 0 to 15,004" in kept
    if not logs.STUDY.is_dir():
        pytest.skip("the study's files are not beside this checkout")
    assert executed(logs.STUDY) == kept


def test_nothing_of_the_machine_is_kept() -> None:
    content = nbformat.read(NOTEBOOK, as_version=4)
    assert set(content.metadata) == {"kernelspec", "language_info"}
    assert all(not cell.metadata for cell in content.cells)
    assert str(execute.HERE.parent) not in NOTEBOOK.read_text(encoding="utf-8")


def test_a_missing_folder_gets_one_sentence(tmp_path: Path, executed: Callable[[Path], str]) -> None:
    says = r"needs the files of the 2019 study, but \S*/absent is not a folder: "
    with pytest.raises(CellExecutionError, match=says):
        executed(tmp_path / "absent")
