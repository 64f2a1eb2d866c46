"""The reference's log: every kind of line, and every way a log can be bad."""

from pathlib import Path

import numpy as np
import pytest

from src.base.errors import Problem
from src.legacy import training_log
from tests.legacy import logs

DATA = Path(__file__).parents[1] / "data" / "legacy"
GOOD = b"step 20 - loss = 4.963, (180.037 sec/step)\n"


def _read(tmp_path: Path, content: bytes) -> training_log.TrainingLog:
    path = tmp_path / "training.txt"
    path.write_bytes(content)
    return training_log.read(path)


def test_the_2019_log() -> None:
    path = logs.STUDY / "training.txt"
    if not path.is_file():
        pytest.skip("the study's log is not beside this checkout")
    log = training_log.read(path)
    assert (len(log.steps), len(np.unique(log.steps)), len(log.restarts)) == (15005, 15004, 84)
    assert (log.other_lines, log.zones, log.cut_line) == (0, ("EST",), False)
    assert log.seconds.sum() == pytest.approx(609_801.037)


def test_a_line_is_read_to_its_last_digit(tmp_path: Path) -> None:
    log = _read(tmp_path, GOOD + b"Restarting the service at Sun Dec  1 07:00:17 EST 2019\n" + GOOD)
    assert log.losses.tolist() == [4.963, 4.963]
    assert log.seconds.tolist() == [180.037, 180.037]
    assert log.restarts == (training_log.Restart(2, 1, 1575201617000),)


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        (b"Sun Dec  1 07:00:17 EST 2019", 1575201617000),
        (b"Sun Dec  1 12:00:17 UTC 2019", 1575201617000),
        (b"Sun 01 Dec 2019 07:00:17 AM EST", 1575201617000),
        (b"Sun 01 Dec 2019 12:00:17 PM +0000", 1575201617000),
        (b"Sun Dec  1 07:00:17 -0500 2019", 1575201617000),
        (b"Sun Dec 41 07:00:17 EST 2019", None),
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
    log = _read(tmp_path, b"Trying to restore from /home/someone ...\n" + GOOD + b"\xff\xfe\x00 \xe9\n\n" + GOOD)
    assert (len(log.steps), log.other_lines) == (2, 2)
    assert "someone" not in repr(log)


def test_the_log_of_another_program_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="holds no line of tensorflow-wavenet's training"):
        _read(tmp_path, b"Epoch 1/10 loss: 0.3\n" * 50)
    with pytest.raises(Problem, match="cannot be read"):
        training_log.read(tmp_path / "absent.txt")


@pytest.mark.parametrize("cut", range(1, len(GOOD) - 2))
def test_a_log_cut_in_a_line_gives_the_lines_before(tmp_path: Path, cut: int) -> None:
    log = _read(tmp_path, GOOD * 2 + GOOD[:cut])
    assert (len(log.steps), log.cut_line) == (2, True)


def test_a_last_line_without_its_end_counts_if_it_is_whole(tmp_path: Path) -> None:
    log = _read(tmp_path, GOOD + GOOD.rstrip())
    assert (len(log.steps), log.cut_line) == (2, False)


def test_windows_line_ends_and_utf_16(tmp_path: Path) -> None:
    log = _read(tmp_path, GOOD.replace(b"\n", b"\r\n") * 3)
    assert (len(log.steps), log.windows_line_ends, log.other_lines) == (3, True, 0)
    wide = (GOOD.decode() * 3).encode("utf-16")
    path = tmp_path / "wide.txt"
    path.write_bytes(wide)
    assert training_log.looks_like_one(path)
    assert len(training_log.read(path).steps) == 3


def test_a_loss_that_is_not_a_number(tmp_path: Path) -> None:
    log = _read(tmp_path, b"step 1 - loss = nan, (3.000 sec/step)\nstep 2 - loss = inf, (3.000 sec/step)\n" + GOOD)
    assert np.isnan(log.losses[:2]).all()
    assert log.losses[2] == 4.963


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = _read(tmp_path, b"x" * (5 << 20) + b"\n" + GOOD)
    assert len(log.steps) == 1


def test_pieces_do_not_cut_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = logs.crashing(3).text.encode()
    whole = _read(tmp_path, text)
    monkeypatch.setattr(training_log, "PIECE_BYTES", 7)
    pieces = _read(tmp_path, text)
    np.testing.assert_array_equal(whole.steps, pieces.steps)
    assert (whole.restarts, whole.sha256, whole.lines) == (pieces.restarts, pieces.sha256, pieces.lines)
