"""The reference's log: every kind of line, and every way a log can be bad."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from src.base.errors import Problem
from src.legacy import study_2019, training_log
from tests.legacy import logs

DATA = Path(__file__).parents[1] / "data" / "legacy"
GOOD = b"step 20 - loss = 4.963, (180.037 sec/step)\n"
NEXT = b"step 21 - loss = 4.963, (180.037 sec/step)\n"


def _read(tmp_path: Path, content: bytes) -> training_log.TrainingLog:
    path = tmp_path / "training.txt"
    path.write_bytes(content)
    return training_log.read([path])


def test_the_2019_log() -> None:
    path = logs.STUDY / "training.txt"
    if not path.is_file():
        pytest.skip("the study's log is not beside this checkout")
    log = training_log.read([path])
    assert (len(log.steps), len(np.unique(log.steps)), len(log.restarts)) == (15005, 15004, 84)
    assert (log.other_lines, log.unknown_zones, log.cut_line) == (0, (), False)
    assert log.sha256 == study_2019.TRAINING_SHA256
    assert log.seconds.sum() == pytest.approx(609_801.037)


def test_a_line_is_read_to_its_last_digit(tmp_path: Path) -> None:
    log = _read(tmp_path, GOOD + b"Restarting the service at Sun Dec  1 07:00:17 EST 2019\n" + GOOD)
    assert log.losses.tolist() == [4.963, 4.963]
    assert log.seconds.tolist() == [180.037, 180.037]
    assert log.restarts == (training_log.Restart(1, 1575201617000),)


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        (b"Sun Dec  1 07:00:17 EST 2019", 1575201617000),
        (b"Sun Dec  1 12:00:17 UTC 2019", 1575201617000),
        (b"Sun 01 Dec 2019 07:00:17 AM EST", 1575201617000),
        (b"Sun 01 Dec 2019 12:00:17 PM +0000", 1575201617000),
        (b"Sun Dec  1 07:00:17 -0500 2019", 1575201617000),
        (b"Sun Dec 41 07:00:17 EST 2019", None),
        (b"Mon Jan  1 00:00:17 +1400 0001", None),
        (b"Fri Dec 31 23:59:59 -1200 9999", None),
        (b"Thu Jan  1 00:00:17 UTC 1970", None),
        (b"dim. d\xe9cembre 2019", None),
    ],
)
def test_dates_as_date_prints_them(tmp_path: Path, text: bytes, time_ms: int | None) -> None:
    log = _read(tmp_path, GOOD + b"Restarting the service at " + text + b"\n")
    assert log.restarts[0].time_ms == time_ms


def test_an_unknown_zone_is_read_as_utc_and_named(tmp_path: Path) -> None:
    log = _read(tmp_path, GOOD + b"Restarting the service at Sun Dec  1 12:00:17 XYZ 2019\n")
    assert (log.restarts[0].time_ms, log.unknown_zones) == (1575201617000, ("XYZ",))


def test_what_other_programs_print_is_counted_and_not_kept(tmp_path: Path) -> None:
    log = _read(tmp_path, b"Trying to restore from /home/someone ...\n" + GOOD + b"\xff\xfe\x00 \xe9\n\n" + NEXT)
    assert (len(log.steps), log.other_lines) == (2, 2)
    assert "someone" not in repr(log)


def test_the_log_of_another_program_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="holds no line of tensorflow-wavenet's training"):
        _read(tmp_path, b"Epoch 1/10 loss: 0.3\n" * 50)
    with pytest.raises(Problem, match="cannot be read"):
        training_log.read([tmp_path / "absent.txt"])


@pytest.mark.parametrize("cut", range(1, len(GOOD) - 2))
def test_a_log_cut_in_a_line_gives_the_lines_before(tmp_path: Path, cut: int) -> None:
    log = _read(tmp_path, GOOD + NEXT + GOOD[:cut])
    assert (len(log.steps), log.cut_line) == (2, True)


def test_a_last_line_without_its_end_counts_if_it_is_whole(tmp_path: Path) -> None:
    log = _read(tmp_path, GOOD + NEXT.rstrip())
    assert (len(log.steps), log.cut_line) == (2, False)


STEPS = "".join(logs.line(step, 5 - step / 100, 30 + step / 10) for step in range(60))
LOG = STEPS + logs.restart(logs.BEGIN) + logs.restart(logs.BEGIN) + logs.line(60, 4, 44)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: "".join(f"\x1b[32m{line}\x1b[0m\n" for line in text.splitlines()).encode(),
        lambda text: re.sub(r"(\d)\.(\d)", r"\1,\2", text).encode(),
        lambda text: "".join(f"2019-12-01T07:00:17 {line}\n" for line in text.splitlines()).encode(),
    ],
    ids=["Windows", "carriage returns", "UTF-16", "colours", "decimal comma", "time in front"],
)
def test_how_a_log_is_written_changes_nothing(tmp_path: Path, change: Callable[[str], bytes]) -> None:
    log, changed = _read(tmp_path, LOG.encode()), _read(tmp_path, change(LOG))
    assert changed.sha256 == log.sha256
    assert (len(changed.steps), len(changed.restarts), changed.other_lines) == (61, 2, 0)
    assert training_log.looks_like_one(tmp_path / "training.txt")


def test_a_line_that_stands_twice_is_one_line(tmp_path: Path) -> None:
    once = _read(tmp_path, (STEPS + logs.restart(logs.BEGIN) + logs.line(60, 4, 44)).encode())
    twice = _read(tmp_path, "".join(line * 2 for line in LOG.splitlines(keepends=True)).encode())
    assert (twice.sha256, twice.doubled, once.doubled) == (once.sha256, 61, 0)
    # In a log that is not doubled, a loop may well die twice in a second.
    assert len(_read(tmp_path, LOG.encode()).restarts) == 2
    # A step that was done again behind a restart line is another one, whatever it says.
    assert len(_read(tmp_path, GOOD + logs.restart(logs.BEGIN).encode() + GOOD).steps) == 2
    nan = b"step 1 - loss = nan, (3.000 sec/step)\n"
    assert (_read(tmp_path, nan * 2).doubled, len(_read(tmp_path, nan * 2).steps)) == (1, 1)


def test_losses_are_what_the_log_says(tmp_path: Path) -> None:
    texts = ["4.963", "1234567.125", "-3.5", f"{5.5 * 3.3**30:.3f}", f"{3.4e38:.3f}", "nan", "-inf", "inf", "2.25"]
    lines = "".join(f"step {step} - loss = {text}, (3.000 sec/step)\n" for step, text in enumerate(texts))
    log = _read(tmp_path, lines.encode())
    np.testing.assert_array_equal(log.losses, [float(text) for text in texts])
    assert log.other_lines == 0


def test_of_two_trainings_in_one_log_the_longest_is_read(tmp_path: Path) -> None:
    def training(count: int, level: float) -> str:
        return "".join(logs.line(step, level, 30 + step / 10) for step in range(count))

    seam = logs.restart(logs.BEGIN) * 2
    log = _read(tmp_path, (training(30, 5) + seam + training(40, 4) + seam + training(20, 3)).encode())
    assert log.trainings == (30, 40, 20)
    assert set(log.losses) == {4.0}
    assert log.steps.tolist() == list(range(40))
    assert [restart.steps_before for restart in log.restarts] == [40]  # it died once; the seam before is not its own
    alone = _read(tmp_path, (training(40, 4) + logs.restart(logs.BEGIN)).encode())
    assert (alone.sha256, alone.trainings) == (log.sha256, ())
    later = _read(tmp_path, b"".join(GOOD.replace(b"20", str(step).encode()) for step in (300, 301, 250, 251)))
    assert (len(later.steps), later.trainings) == (4, ())  # it went on from a checkpoint


def test_two_processes_in_one_log_are_refused(tmp_path: Path) -> None:
    pairs = zip(range(0, 60), range(500, 560), strict=True)
    text = "".join(logs.line(one, 4, 30) + logs.line(other, 3, 31) for one, other in pairs)
    with pytest.raises(Problem, match="several processes wrote into it at once"):
        _read(tmp_path, text.encode())
    pairs = zip(range(100), range(100), strict=True)
    text = "".join(logs.line(one, 4, 30) + logs.line(other, 3, 31) for one, other in pairs)
    with pytest.raises(Problem, match="several processes wrote into it at once"):
        _read(tmp_path, text.encode())


def test_rotated_and_packed_parts_are_one_log(tmp_path: Path) -> None:
    whole = _read(tmp_path, LOG.encode())
    old, new = tmp_path / "train.log.1.gz", tmp_path / "train.log"
    old.write_bytes(gzip.compress(LOG[: LOG.index("step 30")].encode()))
    new.write_text(LOG[LOG.index("step 30") :])
    assert training_log.read([old, new]).sha256 == whole.sha256
    for damaged in (b"", b"\x1f\x8b\x08", old.read_bytes()[:-20], b"no gzip"):
        old.write_bytes(damaged)
        with pytest.raises(Problem, match=r"train\.log"):
            training_log.read([old])


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = _read(tmp_path, b"x" * (5 << 20) + b"\n" + GOOD)
    assert len(log.steps) == 1


def test_pieces_do_not_cut_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = logs.crashing(3).text.encode()
    whole = _read(tmp_path, text)
    monkeypatch.setattr(training_log, "PIECE_BYTES", 7)
    pieces = _read(tmp_path, text)
    np.testing.assert_array_equal(whole.steps, pieces.steps)
    assert (whole.restarts, whole.sha256, whole.other_lines) == (pieces.restarts, pieces.sha256, pieces.other_lines)
