"""The journal in MLflow: every step once, with its own time, whatever was interrupted and sent again."""

import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run

from src.record import endings, metrics, shipping, tracking
from src.record.endings import Ending
from src.record.journal import Journal
from src.record.shipping import BackgroundShipping, Shipper, is_complete, run_id_of, shipped_step
from src.record.tracking import Store, TrackingError


@pytest.fixture
def training(tmp_path: Path) -> Path:
    folder = tmp_path / "train"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("root"))


def attempt(training: Path, number: int, start: int, steps: range, end: str | None = None) -> None:
    book = Journal(training / "journal.jsonl", number)
    book.append("attempt", time_ms=10_000 * number, start_step=start, automatic=number > 1, host="here")
    for step in steps:
        book.append("step", step=step, loss=5.5 / step, seconds=0.01, time_ms=10_000 * number + step)
    if end:
        book.append("end", time_ms=10_000 * number + 9_000, cause=end)
    book.close()


def new_run(store: Store, name: str) -> str:
    return store.run(name, name, {"train": {"steps": 3}}, {"host": "here"})


def history(store: Store, run_id: str) -> list[tuple[int, float, int]]:
    points = store._client.get_metric_history(run_id, metrics.LOSS)
    return sorted((point.step, point.value, point.timestamp) for point in points)


def nested(store: Store, run_id: str) -> dict[str, Run]:
    """Attempt number → its nested run."""
    found = store._client.search_runs([store._experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return {run.data.tags["attempt"]: run for run in found}


def expected(steps: int, borders: dict[int, int]) -> list[tuple[int, float, int]]:
    """borders: attempt number → last step whose first line it wrote."""
    rows = []
    for step in range(1, steps + 1):
        number = min(number for number, last in borders.items() if step <= last)
        rows.append((step, 5.5 / step, 10_000 * number + step))
    return rows


def test_replays_are_not_sent_and_attempts_tell_the_truth(store: Store, training: Path) -> None:
    run_id = new_run(store, "replays")
    attempt(training, 1, 0, range(1, 31))
    shipper = Shipper(store, run_id, training)
    assert shipper.ship() == 30
    attempt(training, 2, 20, range(21, 51), end="finished")
    assert Shipper(store, run_id, training).ship() == 20
    assert shipper.ship() == 20  # the first one does not know what the second one sent: repeats change nothing
    assert history(store, run_id) == expected(50, {1: 30, 2: 50})
    told = {
        number: (run.info.status, run.info.start_time, run.info.end_time)
        for number, run in nested(store, run_id).items()
    }
    assert told == {"1": ("KILLED", 10_000, 10_030), "2": ("FINISHED", 20_000, 29_000)}


def test_a_shipment_cut_off_anywhere_is_completed(
    store: Store, training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_run(store, "cut")
    attempt(training, 1, 0, range(1, 41))
    real = Store.points
    calls = iter([1, 0, 2, 0, 3])

    def faulty(self: Store, run: str, points: Any) -> None:
        fault = next(calls, 0)
        if fault == 1:
            raise TrackingError("MLflow could not be used: gone")
        real(self, run, points[:7] if fault == 2 else points)
        if fault >= 2:
            raise TrackingError("MLflow could not be used: gone after it had taken a part")

    monkeypatch.setattr(Store, "points", faulty)
    for more in (41, 61, 81, 101, 121):
        try:
            Shipper(store, run_id, training).ship()
        except TrackingError:
            (training / "shipped.json").unlink(missing_ok=True)
        attempt(training, more, more - 1, range(more, more + 20))
    Shipper(store, run_id, training).ship()
    assert [step for step, _, _ in history(store, run_id)] == list(range(1, 141))


def test_lost_memory_and_a_shortened_journal_send_nothing_twice(store: Store, training: Path) -> None:
    run_id = new_run(store, "lost")
    attempt(training, 1, 0, range(1, 31))
    Shipper(store, run_id, training).ship()
    (training / "shipped.json").unlink()
    lines = (training / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (training / "journal.jsonl").write_bytes(b"".join(lines[:11]))  # the disk lost steps 11 to 30 that MLflow has
    attempt(training, 2, 10, range(11, 41))
    Shipper(store, run_id, training).ship()
    assert [step for step, _, _ in history(store, run_id)] == list(range(1, 41))


def test_one_run_for_one_fingerprint_with_its_parameters(store: Store) -> None:
    first, again = new_run(store, "same"), new_run(store, "same")
    assert first == again
    run = store._client.get_run(first)
    assert run.data.params["train.steps"] == "3"
    assert run.data.tags["fingerprint"] == "same"


def test_a_dead_server_is_an_error_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match="MLflow could not be used"):
        Store(tmp_path)


def test_artifacts_are_found_after_the_checkout_moved(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    first = Store(old)
    run_id = new_run(first, "moved")
    (tmp_path / "sound.wav").write_bytes(b"RIFF")
    first.files(run_id, tmp_path / "sound.wav", "generations")
    old.rename(new)
    second = Store(new)
    listed = second._client.list_artifacts(run_id, "generations")
    assert [item.path for item in listed] == ["generations/sound.wav"]
    with sqlite3.connect(new / tracking.DATABASE) as connection:
        places = {row[0] for row in connection.execute("SELECT artifact_uri FROM runs")}
    assert all(str(new) in place for place in places)


def test_plain_mlflow_ui_finds_the_database(tmp_path: Path) -> None:
    Store(tmp_path)
    assert (tmp_path / "mlflow.db").resolve() == tmp_path / "mlruns" / "mlflow.db"


def test_a_checkpoint_has_its_metrics(store: Store) -> None:
    run_id = new_run(store, "models")
    model = store.registry.checkpoint(run_id, 20, "models")
    assert store.registry.checkpoint(run_id, 20, "models") == model
    store.registry.points(run_id, model, [("bits.rock", 7.5, 1, 20)])
    logged = store._client.get_logged_model(model)
    assert [(metric.key, metric.value, metric.step) for metric in logged.metrics] == [("bits.rock", 7.5, 20)]
    # Measured again: the same changes nothing, another value is the one that is shown.
    store.registry.points(run_id, model, [("bits.rock", 7.5, 1, 20)])
    store.registry.points(run_id, model, [("bits.rock", 7.25, 1, 20), ("bits.hip", 6.5, 1, 20)])
    newest = {metric.key: metric.value for metric in store._client.get_logged_model(model).metrics}
    assert newest == {"bits.rock": 7.25, "bits.hip": 6.5}
    assert len(store._client.get_metric_history(run_id, "bits.rock")) == 2


def test_the_run_tells_its_story_in_words(store: Store, training: Path) -> None:
    run_id = new_run(store, "story")
    attempt(training, 1, 0, range(1, 31))
    attempt(training, 2, 20, range(21, 51), end="finished")
    Shipper(store, run_id, training).ship()
    story = store._client.get_run(run_id).data.tags["mlflow.note.content"]
    assert story.startswith(
        "Finished at step 50, each step recorded once. 1 restart (1 by the supervisor, 0 by a person): 10 steps done "
        "again, 10.0 s lost of 19.0 s."
    )
    assert "| 1 | 1970-01-01 00:00:10 | a person | the beginning | 1 to 30 |  | killed |  |" in story
    assert "| 2 | 1970-01-01 00:00:20 | the supervisor | step 20 | 21 to 50 | 10 | finished | 10.0 s |" in story


def points(store: Store, run_id: str, key: str) -> list[tuple[int, float, int]]:
    return sorted((point.step, point.value, point.timestamp) for point in store._client.get_metric_history(run_id, key))


def test_restarts_are_marks_on_the_run_and_nested_runs_with_figures(store: Store, training: Path) -> None:
    run_id = new_run(store, "marks")
    attempt(training, 1, 0, range(1, 31))
    attempt(training, 2, 20, range(21, 26))  # killed before it did anything new
    attempt(training, 3, 20, range(21, 51), end="finished")
    for _ in range(2):
        Shipper(store, run_id, training).ship()
        (training / "shipped.json").unlink()
    assert points(store, run_id, "run/attempt") == [(0, 1.0, 10_000), (20, 2.0, 20_000), (20, 3.0, 30_000)]
    assert points(store, run_id, "run/replayed_steps") == [(20, 5.0, 20_000), (20, 10.0, 30_000)]
    assert points(store, run_id, "run/downtime_seconds") == [(20, 9.97, 20_000), (20, 9.975, 30_000)]
    assert points(store, run_id, "run/seconds_lost") == [
        (20, 19.991, 30_000)
    ]  # step 30 ended at 10.030, 31 began at 30.021
    told = nested(store, run_id)
    assert told["2"].info.run_name == "attempt 002 to step 25: killed"
    assert told["3"].data.metrics["run/new_steps"] == 20
    assert told["3"].data.metrics["run/replayed_steps"] == 10
    tags = store._client.get_run(run_id).data.tags
    assert (tags["attempts"], tags["restarts_automatic"], tags["replayed_steps"]) == ("3", "2", "15")


def test_a_run_that_lives_is_running_and_one_that_ended_is_not(store: Store, training: Path) -> None:
    run_id = new_run(store, "status")
    attempt(training, 1, 0, range(1, 11))
    shipper = Shipper(store, run_id, training)
    shipper.ship()
    assert store._client.get_run(run_id).info.status == "RUNNING"
    assert not is_complete(training, store.uri)
    endings.close(training / "journal.jsonl", 1, Ending("crashed", "OSError: data/clips/rock/0123456789abcdef.flac"))
    shipper.ship()
    assert store._client.get_run(run_id).info.status == "FAILED"
    assert is_complete(training, store.uri)
    assert nested(store, run_id)["1"].data.tags["detail"] == "OSError: …"  # the name of a song's clip stays here


def test_a_journal_that_was_cut_and_grew_again_is_read_anew(store: Store, training: Path) -> None:
    run_id = new_run(store, "regrown")
    attempt(training, 1, 0, range(1, 31))
    Shipper(store, run_id, training).ship()
    path = training / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:11]))
    attempt(training, 2, 10, range(11, 61))  # longer than before: the remembered byte is now inside a line
    Shipper(store, run_id, training).ship()
    assert [step for step, _, _ in history(store, run_id)] == list(range(1, 61))


def test_a_validation_done_again_is_sent_once(store: Store, training: Path) -> None:
    run_id = new_run(store, "validations")
    for number in (1, 2):
        attempt(training, number, 0, range(1, 11))
        book = Journal(training / "journal.jsonl", number)
        book.append("validation", step=10, bits_per_sample={"R&B": 7.5}, time_ms=10_000 * number + 10)
        book.close()
        Shipper(store, run_id, training).ship()
        (training / "shipped.json").unlink()
    assert points(store, run_id, "learning/validation_bits.RandB") == [(10, 7.5, 10_010)]


def test_a_run_of_another_journal_is_another_run(store: Store) -> None:
    first = store.run("twice", "twice", {"a": 1}, {}, journal_id="aaaa")
    assert store.run("twice", "twice", {"a": 1}, {}, journal_id="aaaa") == first
    assert store.run("twice", "twice", {"a": 1}, {}, journal_id="bbbb") != first
    adopted = store.run("before", "before", {}, {})  # the audio was there before the training could be sent
    assert store.run("before", "before", {"a": 1}, {}, journal_id="cccc") == adopted
    assert store._client.get_run(adopted).data.params == {"a": "1"}  # and what its maker left out is made up


def test_an_attempt_number_that_comes_again_is_another_attempt(store: Store) -> None:
    run_id = new_run(store, "numbers")
    first = store.attempt(run_id, 1, 1000, {})
    assert store.attempt(run_id, 1, 1000, {}) == first
    assert store.attempt(run_id, 1, 2000, {}) != first  # the journal was damaged and began anew


def test_lines_that_come_while_it_ships_wait_for_the_next_time(
    store: Store, training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_run(store, "busy")
    attempt(training, 1, 0, range(1, 11))
    real = Store.points

    def slow(self: Store, run: str, sent: Any) -> None:
        real(self, run, sent)
        if sent and sent[0][0] == metrics.LOSS:
            attempt(training, 2, 10, range(11, 14))

    monkeypatch.setattr(Store, "points", slow)
    assert Shipper(store, run_id, training).ship() == 10


def test_a_damaged_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / tracking.DATABASE).write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    with pytest.raises(TrackingError):
        Store(tmp_path)


def test_a_database_that_was_never_finished_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    for left in (".mlflow.db.77.tmp", ".mlflow.db.77.tmp-journal"):
        (tmp_path / "mlruns" / left).write_bytes(b"half")
    Store(tmp_path)
    assert (tmp_path / tracking.DATABASE).is_file()
    assert not list((tmp_path / "mlruns").glob("*.tmp*"))


def test_a_copy_that_goes_on_from_an_older_state_sends_nothing_twice(store: Store, training: Path) -> None:
    run_id = new_run(store, "copied")
    attempt(training, 1, 0, range(1, 31))
    Shipper(store, run_id, training).ship()
    copy = training.with_name("copy")
    shutil.copytree(training, copy)  # as rsync to another machine does
    attempt(training, 2, 30, range(31, 51))
    Shipper(store, run_id, training).ship()
    attempt(copy, 3, 30, range(31, 61))
    Shipper(store, run_id, copy).ship()
    assert [step for step, _, _ in history(store, run_id)] == list(range(1, 61))


class Post:
    """In place of MLflow: what is sent, and what goes wrong each time."""

    def __init__(self, *faults: Exception | None) -> None:
        self._faults = iter(faults)
        self.connected = self.shipped = 0

    def connect(self) -> Any:
        self.connected += 1
        return self

    def ship(self) -> int:
        self.shipped += 1
        fault = next(self._faults, None)
        if fault is not None:
            raise fault
        return 0


def nothing_more(_shipper: Any) -> None:
    """In place of what is sent at the end."""


class Waits:
    """In place of the event that ends the sending: it notes for how long it is waited."""

    def __init__(self, times: int) -> None:
        self._times, self.seconds = times, list[float]()

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) == self._times

    def set(self) -> None:
        pass


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_what_is_sent_to_the_end_needs_no_words(capsys: pytest.CaptureFixture[str]) -> None:
    post = Post()
    sender = BackgroundShipping(post.connect, nothing_more)
    sender.start()
    sender.finish(60)
    assert (post.connected, post.shipped, sender.daemon) == (1, 1, True)
    assert said(capsys) == ""


def test_a_failure_is_said_once_at_the_end_with_the_command_that_sends_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sender = BackgroundShipping(Post(TrackingError("MLflow could not be used.")).connect, nothing_more)
    sender.start()
    sender.finish(60)
    assert said(capsys) == (
        "warning: not everything is in MLflow yet: MLflow could not be used. The journal has them all; "
        "`python -m src.train` sends the rest."
    )


@pytest.mark.parametrize(
    ("faults", "connected", "seconds", "failure"),
    [
        ((), 1, [10, 10, 10, 10, 10], ""),
        ((TrackingError("gone"),) * 4, 1, [10, 20, 30, 30, 30], ""),
        ((TypeError("odd"),) * 4, 5, [10, 20, 30, 30, 30], ""),  # whatever broke, the next try begins anew
        ((TrackingError("gone"), None, TrackingError("gone")), 1, [10, 20, 10, 20, 10], ""),
        ((None, None, None, None, TrackingError("gone.")), 1, [10, 10, 10, 10, 10], "gone."),
        ((None, None, None, None, TypeError("odd")), 1, [10, 10, 10, 10, 10], "TypeError: odd."),
    ],
)
def test_failures_are_tried_again_with_growing_pauses(
    faults: tuple[Exception | None, ...], connected: int, seconds: list[float], failure: str
) -> None:
    post = Post(*faults)
    sender = BackgroundShipping(post.connect, nothing_more)
    waits = Waits(5)
    sender._over = waits  # type: ignore[assignment]
    sender.run()
    assert (post.connected, post.shipped) == (connected, 5)
    assert (waits.seconds, sender._failure) == (seconds, failure)


def test_one_that_does_not_answer_is_not_waited_for_for_ever(capsys: pytest.CaptureFixture[str]) -> None:
    over = threading.Event()

    def hang() -> Any:
        over.wait(60)
        raise TrackingError("gone")

    sender = BackgroundShipping(hang, nothing_more)
    sender.start()
    sender.finish(0.1)
    assert "in MLflow yet: it has not answered for 0 s. The journal has them all" in said(capsys)
    over.set()
    sender.join(60)


def test_what_was_sent_is_remembered_for_one_store_alone(store: Store, training: Path) -> None:
    assert (shipped_step(training), run_id_of(training, store.uri)) == (0, None)
    assert not is_complete(training, store.uri)
    run_id = new_run(store, "remembered")
    attempt(training, 1, 0, range(1, 11), end="finished")
    Shipper(store, run_id, training).ship()
    assert (shipped_step(training), run_id_of(training, store.uri)) == (10, run_id)
    assert is_complete(training, store.uri)
    assert run_id_of(training, "elsewhere") is None
    assert not is_complete(training, "elsewhere")
    again = Shipper(store, run_id, training)
    assert (again.offset, again.last_step) == ((training / "journal.jsonl").stat().st_size, 10)
    assert again.ship() == 0
    other = Shipper(store, new_run(store, "another run"), training)
    assert (other.offset, other.last_step) == (0, -1)
    attempt(training, 2, 10, range(11, 12))
    assert not is_complete(training, store.uri)
    for damaged in ("", "[]", "{}", '{"uri": 1}', '{"offset": '):
        (training / "shipped.json").write_text(damaged)
        assert (shipped_step(training), run_id_of(training, store.uri)) == (0, None)
        assert not is_complete(training, store.uri)
    assert Shipper(store, run_id, training).offset == 0


def test_a_long_journal_is_sent_in_parts(store: Store, training: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = Store.points

    def counted(self: Store, run: str, sent: Any) -> None:
        sizes.append(sum(point[0] == metrics.LOSS for point in sent))
        real(self, run, sent)

    monkeypatch.setattr(Store, "points", counted)
    monkeypatch.setattr(shipping, "MOST_LINES", 4)
    run_id = new_run(store, "parts")
    attempt(training, 1, 0, range(1, 11), end="finished")  # twelve lines
    assert Shipper(store, run_id, training).ship() == 10
    assert sizes[:4] == [3, 4, 3, 0]
    assert history(store, run_id) == expected(10, {1: 10})
