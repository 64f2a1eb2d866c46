"""The status of a training, from its journal alone."""

import json

from src import status
from src.record.journal import Journal
from tests.conftest import StudyFolder


def test_it_tells_a_dead_run_from_a_living_one(study: StudyFolder) -> None:
    folder = study.root / "work" / "train" / "0123456789abcdef"
    folder.mkdir(parents=True)
    book = Journal(folder / "journal.jsonl", 1)
    book.append("attempt", time_ms=1, start_step=0, automatic=False, steps=30)
    for step in range(1, 11):
        book.append("step", step=step, loss=6.0 - step / 10, seconds=0.4, time_ms=500 * step)
    book.append("validation", step=10, bits_per_sample={"rock": 7.25}, time_ms=1011)
    shipped = {
        "uri": "",
        "run_id": "",
        "offset": 9,
        "border": "",
        "last_step": 4,
        "last_validation": -1,
        "runs": {},
        "touched": [],
        "ended": 0,
    }
    (folder / "shipped.json").write_text(json.dumps(shipped))
    found = status.read(folder)
    assert not found.alive
    assert (found.last_step, found.step_s, found.unshipped_steps) == (10, 0.5, 6)
    assert found.loss_nats == 5.45
    shown = study.run("src.status")
    assert shown.returncode == 0, shown.stdout
    for words in ("killed", "10 of 30", "rock 7.25 (step 10)", "2.0 steps/s", "6 steps", "10 s"):
        assert words in shown.stdout, words


def test_without_a_run_it_says_how_to_start_one(study: StudyFolder) -> None:
    shown = study.run("src.status")
    assert shown.returncode == 1
    assert "Start one with: python -m src.train" in shown.stdout
