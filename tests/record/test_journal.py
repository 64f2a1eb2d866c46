"""The journal: torn and damaged endings, replays, first lines."""

import json
from pathlib import Path

import pytest

from src.base.errors import Problem
from src.record import journal
from src.record.journal import Journal


def write(path: Path, attempt: int, start: int, steps: range, loss: float = 1.0) -> None:
    book = Journal(path, attempt)
    book.append("attempt", time_ms=1000 * attempt, start_step=start, automatic=attempt > 1)
    for step in steps:
        book.append("step", step=step, loss=loss + step, seconds=0.5, time_ms=1000 * attempt + step)
    book.close()


def test_the_first_line_of_a_step_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1, 0, range(1, 8))
    write(path, 2, 5, range(6, 11))
    view = journal.read(path)
    assert view.last_step == 10
    assert view.replayed == 2
    assert view.steps[7].time_ms == 1007
    assert view.steps[8].time_ms == 2008
    assert view.attempts[2].start_step == 5
    assert view.attempts[2].automatic
    assert view.attempts[1].end is None


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_does_not_count_and_is_cut(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1, 0, range(1, 4))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert journal.read(path).last_step == 2
    assert journal.repair(path) is None
    assert whole.startswith(path.read_bytes())
    assert path.read_bytes().endswith(b"\n")
    write(path, 2, 2, range(3, 5))
    assert journal.read(path).last_step == 4
    assert not list(tmp_path.glob("*.damaged*"))


@pytest.mark.parametrize("rubbish", [b"\x00" * 40 + b"\n", b'{"kind"\n', b"[]\n", b"\xff\xfe\n"])
def test_damage_is_an_error_until_it_is_set_aside(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1, 0, range(1, 4))
    good = path.read_bytes()
    path.write_bytes(good + rubbish + good)
    with pytest.raises(Problem, match=f"damaged at byte {len(good)}"):
        journal.read(path)
    sentence = journal.repair(path)
    assert sentence is not None
    assert "journal.jsonl.damaged-1" in sentence
    assert path.read_bytes() == good
    assert (tmp_path / "journal.jsonl.damaged-1").read_bytes() == rubbish + good


def test_losses_survive_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    loss = 0.1 + 0.2
    write(path, 1, 0, range(1, 2), loss)
    assert journal.read(path).steps[1].loss == loss + 1


def test_no_number_that_json_does_not_know_is_written(tmp_path: Path) -> None:
    book = Journal(tmp_path / "journal.jsonl", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        book.append("step", step=1, loss=float("nan"), time_ms=1)


def test_lines_are_one_json_object_each(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1, 0, range(1, 3))
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds == ["attempt", "step", "step"]


def test_a_journal_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "none").last_step == 0


def test_every_changed_bit_of_a_line_is_read_or_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1, 0, range(1, 4))
    *before, line, _ = path.read_bytes().splitlines(keepends=True)
    first, last = b"".join(before), b'{"kind": "step", "attempt": 1, "step": 3, "loss": 4.0, "time_ms": 1003}\n'
    for bit in range(8 * len(line)):
        changed = bytearray(line)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(first + changed + last)
        journal.repair(path)
        view = journal.read(path)  # never anything else than a View
        assert view.last_step == max(view.steps, default=0), changed  # and never with a gap


def test_a_step_that_leaves_others_out_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1, 0, range(1, 8))
    path.write_bytes(path.read_bytes().replace(b'"step": 5,', b'"step": 95,'))
    assert "damaged" in (journal.repair(path) or "")
    assert journal.read(path).last_step == 4


def test_the_latest_losses_are_those_of_the_window_up_to_a_step(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1, 0, range(1, 302))
    view = journal.read(path)
    assert list(view.latest_losses(300)) == list(range(101, 301))
    assert list(view.latest_losses(3)) == [1, 2, 3]
    assert list(view.latest_losses(400)) == list(range(201, 302))  # as far as they are known


def test_lines_are_read_between_two_bytes(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 1, 0, range(1, 4))
    behind = [offset for offset, _ in journal.records(path)]
    assert behind[-1] == path.stat().st_size
    assert [offset for offset, _ in journal.records(path, behind[0], behind[2])] == behind[1:3]
    assert [offset for offset, _ in journal.records(path, behind[0], behind[2] - 1)] == behind[1:2]


def test_two_journals_have_two_identities_and_one_keeps_its_own(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert journal.identity(first) is None
    write(first, 1, 0, range(1, 3))
    write(second, 2, 0, range(1, 3))
    before = journal.identity(first)
    write(first, 2, 2, range(3, 5))
    assert journal.identity(first) == before
    assert journal.identity(second) not in (None, before)


def test_a_second_damage_is_set_aside_under_the_next_number(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for number in (1, 2):
        write(path, number, 0, range(1, 3))
        path.write_bytes(path.read_bytes() + b"[]\n")
        assert f"journal.jsonl.damaged-{number}" in (journal.repair(path) or "")
    assert journal.repair(path) is None
