"""The journal: torn and damaged endings, replays, first lines."""

import hashlib
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


def finished(path: Path) -> list[bytes]:
    """The lines of a finished journal of eight steps."""
    write(path, 1, 0, range(1, 9))
    book = Journal(path, 1)
    book.append("validation", step=8, bits_per_sample={"rock": 4.5}, time_ms=1009)
    book.append("end", time_ms=1010, cause="finished", detail="", step=8)
    book.close()
    return path.read_bytes().splitlines(keepends=True)


def test_no_changed_bit_goes_unnoticed_and_every_journal_can_be_repaired(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = b"".join(finished(path))
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(Problem, match=r"damaged at byte \d+"):
            journal.read(path)
        journal.repair(path)
        assert whole.startswith(path.read_bytes())
        for aside in tmp_path.glob("*.damaged-*"):
            aside.unlink()


@pytest.mark.parametrize(
    ("order", "step"),
    [
        ([0, 1, 2, 3, 5, 6, 7, 8, 9, 10], 3),  # the line of step 4 is left out
        ([0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10], 3),  # two lines changed places
        ([0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10], 4),  # a line stands there twice
        ([1, 2, 3, 4], None),  # the beginning is left out
    ],
)
def test_a_line_left_out_added_or_moved_is_named_with_the_step_before_it(
    tmp_path: Path, order: list[int], step: int | None
) -> None:
    path = tmp_path / "journal.jsonl"
    lines = finished(path)
    path.write_bytes(b"".join(lines[index] for index in order))
    with pytest.raises(Problem, match=f"behind step {step} " if step else "at byte 0 "):
        journal.read(path)


def test_a_loss_made_up_with_a_link_of_its_own_is_found_by_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    lines = finished(path)
    content = lines[4].partition(b', "chain"')[0].replace(b'"loss": 5.0', b'"loss": 4.0')
    before = json.loads(lines[3])["chain"]
    lines[4] = content + f', "chain": "{journal.link(before, content)}"}}\n'.encode()
    path.write_bytes(b"".join(lines))
    with pytest.raises(Problem, match="behind step 4 "):
        journal.read(path)


def unlinked(path: Path) -> bytes:
    """A journal as older versions wrote it."""
    lines = []
    for line in finished(path):
        record = json.loads(line)
        record.pop("chain")
        record.pop("format", None)
        lines.append(json.dumps(record).encode() + b"\n")
    path.write_bytes(b"".join(lines))
    return path.read_bytes()


def test_a_journal_without_links_is_read_and_goes_on_without(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    before = unlinked(path)
    assert journal.head(path) is None
    write(path, 2, 8, range(9, 11))
    assert journal.read(path).last_step == 10
    assert b"chain" not in path.read_bytes().removeprefix(before)


def test_what_is_appended_follows_from_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert journal.head(path) == ""
    write(path, 1, 0, range(1, 4))
    write(path, 2, 3, range(4, 1000))  # more than is read at once from the end
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert journal.head(path) == last["chain"]
    assert journal.read(path).last_step == 999
    offsets = [offset for offset, _ in journal.records(path)]
    assert len(list(journal.records(path, offsets[500]))) == len(offsets) - 501


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "step", "attempt": 1, "step": 9, "loss": NaN, "time_ms": 1}',
        '{"kind": "step", "attempt": 1, "step": 9, "loss": 1e999, "time_ms": 1}',
        f'{{"kind": "step", "attempt": 1, "step": {"9" * 4000}, "loss": 1.0, "time_ms": 1}}',
        f'{{"kind": "step", "attempt": 1, "step": {"9" * 5000}, "loss": 1.0, "time_ms": 1}}',
        '{"kind": "step", "attempt": 1, "step": 9, "loss": 1.0, "time_ms": -62135596800000}',
        '{"kind": "step", "attempt": 1, "step": 9, "loss": 1.0, "time_ms": 99999999999999999}',
        '{"kind": "end", "attempt": 1, "cause": "killed", "timf_ms": 1}',
        '{"kind": "end", "attempt": 1, "cause": "killed", "time_ms": 1, "detail": 7}',
        '{"kind": "attempt", "attempt": 1, "time_ms": 1, "start_step": 0, "automatic": true, "processes": "two"}',
        '{"kind": "validation", "attempt": 1, "step": 9, "bits_per_sample": {"rock": Infinity}}',
        '{"kind": "checkpoint", "attempt": 1, "step": 9, "sha256": {"weights.safetensors": "beef"}}',
        '{"kind": ["step"]}',
        "[" * 200_000,
        "7",
    ],
)
def test_a_line_that_is_none_of_ours_is_refused_and_set_aside(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    before = unlinked(path)
    path.write_bytes(before + line.encode() + b"\n")
    with pytest.raises(Problem, match=f"damaged at byte {len(before)}") as refused:
        journal.read(path)
    assert len(str(refused.value)) < 500
    assert journal.repair(path) is not None
    assert path.read_bytes() == before


def test_a_step_that_leaves_others_out_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(unlinked(path).replace(b'"step": 5,', b'"step": 95,'))
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


def test_the_digest_over_losses_depends_on_every_step_and_every_bit_of_every_loss(tmp_path: Path) -> None:
    write(tmp_path / "first", 1, 0, range(1, 5))
    write(tmp_path / "later", 2, 0, range(1, 5))  # at other times
    write(tmp_path / "other", 1, 0, range(1, 5), loss=1.0 + 2**-50)
    first, later, other = (dict(journal.ties(journal.read(tmp_path / name))) for name in ("first", "later", "other"))
    assert first == later
    assert list(first) == [1, 2, 3, 4]
    assert not set(first.values()) & set(other.values())
    assert journal.tied("", 1, 0.5) == hashlib.sha256(bytes([1, *[0] * 7, 0, 0, 0, 0, 0, 0, 0xE0, 0x3F])).hexdigest()
