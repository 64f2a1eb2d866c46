"""The import as a command: a folder in, our formats out; again, and nothing changes."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from src.base.errors import Problem
from src.legacy import __main__ as legacy
from src.legacy import study_2019, training_log
from src.record import checkpoint, history, journal, layout, metrics
from src.record.tracking import Store
from src.wavenet import mulaw, optimizers, sampler
from src.wavenet.network import WaveNet, loss
from src.wavenet.sampling import Sampling
from tests.legacy import logs

DATA = Path(__file__).parents[1] / "data" / "legacy"
FIELD = 32


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with an MLflow of its own."""
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.fixture
def unshipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave MLflow out: setting up its database takes seconds, and one test of it is enough."""
    monkeypatch.setattr(legacy, "ship", lambda *_: "not sent")


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """What a small training of the reference left behind: log, times, checkpoint, clips of three genres."""
    folder = tmp_path / "left"
    folder.mkdir()
    (folder / "results.log").write_text(logs.crashing(4).text)
    (folder / "generation.txt").write_text("".join(f"{1575410687045 + 1000 * k}\n" for k in (0, 2, 3, 4, 5, 6)))
    shutil.copy(DATA / "model.ckpt-7.index", folder)
    shutil.copy(DATA / "model.ckpt-7.data-00000-of-00001", folder)
    (folder / "wavenet_params.json").write_text('{"dilations": [1, 2, 4, 8, 1, 2, 4, 8]}')
    order = "".join(
        f"\tpython3 generate.py --gc_id={genre} model.ckpt-{step}\n" for step in (0, 7) for genre in range(3)
    )
    (folder / "Makefile").write_text(f"all:\n{order}")
    random = np.random.default_rng(5)
    for genre in ("folk", "jazz", "soul"):
        codes = np.concatenate([np.full(FIELD - 1, 8), [3], random.integers(0, 16, 16000)])
        soundfile.write(folder / f"{genre}_7.wav", mulaw.decode(codes, 16), 16000, subtype="FLOAT")
    return folder


def run(folder: Path, name: str = "old") -> str:
    result = CliRunner().invoke(legacy.app, [str(folder), "--name", name])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("unshipped")
def test_a_folder_becomes_a_run_of_ours(root: Path, left: Path) -> None:
    run(left)
    place = layout.imported("old", root)
    assert place.journal is not None
    view = journal.read(place.journal)
    assert len(view.attempts) == 4
    assert view.attempts[2].end is not None
    assert sorted(view.steps) == list(range(1, len(view.steps) + 1))
    times = [view.steps[step].time_ms for step in sorted(view.steps)]
    assert times == sorted(times)
    generation = json.loads((place.generation(7) / "generation.json").read_text())
    assert [clip["genre"] for clip in generation["clips"]] == ["folk", "jazz", "soul"]
    for clip in generation["clips"]:
        assert (clip["frames"], clip["primer_frames"], clip["source"]["primer_frames_removed"]) == (16000, 0, FIELD)
        samples, rate_hz = soundfile.read(place.generation(7) / clip["file"], dtype="float64")
        assert (len(samples), rate_hz) == (16000, 16000)
        original, _ = soundfile.read(left / f"{clip['genre']}_7.wav", dtype="float64")
        np.testing.assert_array_equal(mulaw.encode(samples, 16), mulaw.encode(original[FIELD:], 16))
    seconds = json.loads((place.metrics.parent / "times" / "generate-step-7.json").read_text())
    assert [clip["genre"] for clip in seconds["clips"]] == ["folk", "jazz", "soul"]
    assert all(clip["inferred"] for clip in seconds["clips"])


def test_importing_again_changes_nothing(root: Path, left: Path) -> None:
    def state() -> dict[str, bytes]:
        kept = (root / "work").rglob("*")
        return {str(path): path.read_bytes() for path in kept if path.is_file() and path.name != "lock"}

    def logged() -> tuple[int, int]:
        store = Store(root)
        run_id = store.run(json.loads((root / "work/runs/old/about.json").read_text())["fingerprint"], "old", {}, {})
        history = store._client.get_metric_history(run_id, metrics.LOSS)
        return len(history), len({point.step for point in history})

    run(left)
    before, sent = state(), logged()
    run(left)
    assert state() == before
    assert logged() == sent
    assert sent[0] == sent[1] > 0


def test_mlflow_says_what_the_log_says_and_no_more(root: Path, tmp_path: Path) -> None:
    text = logs.restart(logs.BEGIN).join("".join(logs.line(k, 4, 30) for k in part) for part in ((0, 1, 2), (4, 5)))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "train.log").write_text(text + "step 6 - loss = nan, (30.000 sec/step)\n")
    run(tmp_path / "old")
    fingerprint = json.loads((root / "work/runs/old/about.json").read_text())["fingerprint"]
    store = Store(root)
    mlflow_run = store._client.get_run(store.run(fingerprint, "old", {}, {}))
    tags = mlflow_run.data.tags
    assert tags["mlflow.note.content"].startswith(
        "Recorded up to step 5 (steps up to 6 whose loss is no number: 1), 1 step not recorded (3), every other one "
        "once. 1 restart (1 by the supervisor, 0 by a person): 0 steps done again, 0.0 s lost of 180.0 s."
    )
    assert (tags["machines"], tags["seconds_lost"], tags["ended"].partition(":")[0]) == (
        "not recorded",
        "0.0",
        "not recorded",
    )
    begin_ms = round(logs.BEGIN.timestamp() * 1000)
    assert (mlflow_run.info.start_time, mlflow_run.info.end_time) == (begin_ms - 90_000, begin_ms + 90_000)
    assert mlflow_run.info.status == "FINISHED"


@pytest.mark.usefixtures("unshipped")
@pytest.mark.parametrize(
    ("text", "steps", "says"),
    [
        (logs.line(0, 5.5, 30), [0], "1 of 1 steps"),
        (
            logs.line(0, 5.5, 30) + "step 1 - loss = nan, (30.000 sec/step)\n",
            [0],
            "1, from 1 to 1.",
        ),
        ("step 1 - loss = nan, (30.000 sec/step)\n", [], "1, from 1 to 1."),
        (
            logs.line(0, 5.5, 30) + "Restarting the service at Mon Jan  1 00:00:17 EST 0001\n" + logs.line(1, 5.5, 30),
            [0, 1],
            "cannot be read or cannot be true: 1.",
        ),
        (
            logs.line(0, 5.5, 30) + logs.line(1, 1e12, 999_999) * 2,
            [0, 1],
            "step lines that stand twice in a row, of which each counts once: 1.",
        ),
    ],
    ids=["one step", "nan at the end", "only nan", "year 1", "large and double"],
)
def test_a_log_as_odd_as_they_come_is_a_whole_run(
    root: Path, tmp_path: Path, text: str, steps: list[int], says: str
) -> None:
    (tmp_path / "old").mkdir()
    path = tmp_path / "old" / "train.log"
    path.write_text(text)
    os.utime(path, (0, 0))  # as unpacked from an archive without dates
    output = re.sub(r"\s+", " ", run(tmp_path / "old"))
    assert says in output
    place = layout.imported("old", root)
    assert place.journal is not None
    view = journal.read(place.journal)
    assert sorted(view.steps) == steps
    assert all(attempt.cause for attempt in view.attempts.values())
    assert (
        min(attempt.time_ms for attempt in view.attempts.values()) == 1_473_638_400_000
    )  # WaveNet's 12 September 2016
    assert "(1970) cannot be true" in output


@pytest.mark.usefixtures("unshipped")
def test_names_that_are_no_utf_8_are_no_trouble(root: Path, left: Path) -> None:
    Path(os.fsdecode(os.fsencode(left) + b"/m\xe9tal_20.wav")).write_bytes(b"RIFF")
    run(left)
    written = layout.about_import(layout.imported("old", root))
    assert written is not None
    assert any("no genre and step in its name" in note for note in written.notes)


@pytest.mark.usefixtures("unshipped")
def test_an_imported_checkpoint_generates_and_trains_on(root: Path, left: Path) -> None:
    run(left)
    loaded = checkpoint.load(layout.imported("old", root).checkpoint(7))
    assert (loaded.genres, loaded.optimizer) == (("folk", "jazz", "soul"), {})
    model = WaveNet(loaded.model)
    model.load_state_dict(loaded.weights)
    chunks = list(sampler.generate([model], [0, 2], 50, np.full((2, 50), 0.5), Sampling(start="zeros")))
    assert np.concatenate(chunks, axis=1).shape == (2, 50)
    codes = torch.from_numpy(np.random.default_rng(1).integers(0, 16, (2, 200)))
    parameters, adam = dict(model.named_parameters()), optimizers.Adam()
    state, losses = adam.start(parameters), []
    for _ in range(5):
        value = loss(model, codes, torch.tensor([0, 1]))
        gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
        found = {name: gradient for name, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
        with torch.no_grad():
            adam.update(
                parameters, {name: found.get(name, torch.zeros_like(p)) for name, p in parameters.items()}, state, 1e-3
            )
        losses.append(value.item())
    assert losses == sorted(losses, reverse=True)


@pytest.mark.usefixtures("unshipped")
def test_the_table_and_about_json_say_what_was_imported(root: Path, left: Path) -> None:
    (left / "evil & co.wav").write_bytes(b"RIFF")
    output = run(left)
    for says in (
        "6 clips in 6.0 s, 1.0 s each",
        "86 variables, 2,792 parameters, with weights",
        "3 of 3 genres at steps",
    ):
        assert says in output
    written = layout.about_import(layout.imported("old", root))
    assert written is not None
    assert (written.run, written.known_study, written.genres) == ("old", False, ("folk", "jazz", "soul"))
    assert written.network is not None
    assert written.network.receptive_field == FIELD
    assert any("evil & co.wav" in note for note in written.notes)
    assert layout.about_import(layout.current(root)) is None


@pytest.mark.usefixtures("unshipped")
@pytest.mark.parametrize("damage", ["{", "[]", '{"run": 1}', b"\xff"])
def test_a_damaged_about_json_gets_a_sentence(root: Path, left: Path, damage: str | bytes) -> None:
    run(left)
    (root / "work/runs/old/about.json").write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    with pytest.raises(Problem, match=r"about\.json cannot be read .*src\.legacy DIR"):
        layout.about_import(layout.imported("old", root))


@pytest.mark.usefixtures("unshipped")
def test_bad_pieces_get_a_sentence_and_the_rest_is_imported(root: Path, left: Path) -> None:
    (left / "soul_7.wav").write_bytes(b"not a wav")
    (left / "model.ckpt-9.index").write_bytes(b"not an index" * 9)
    data = left / "model.ckpt-7.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-5])
    (left / "generation.txt").write_text("")
    output = run(left)
    for says in ("soul_7.wav", "model.ckpt-9.index is not a TensorFlow", "is cut short", "holds 0 time stamps"):
        assert says in re.sub(r"\s+", " ", output)
    place = layout.imported("old", root)
    assert checkpoint.steps(place.checkpoints) == []
    assert sorted(path.name for path in place.generation(7).glob("*.wav")) == ["folk.wav", "jazz.wav"]
    assert not list((root / "work").rglob("*.tmp"))


@pytest.mark.usefixtures("unshipped")
def test_audio_made_here_is_not_overwritten(root: Path, left: Path) -> None:
    run(left)
    folder = layout.imported("old", root).generation(7)
    (folder / "generation.json").write_text('{"step": 7, "clips": []}')
    assert "is now in generated-step-7" in re.sub(r"\s+", " ", run(left))
    assert (folder.parent / "generated-step-7" / "generation.json").is_file()
    assert json.loads((folder / "generation.json").read_text())["imported"]


def test_a_folder_with_nothing_gets_a_sentence(root: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("nothing here")
    with pytest.raises(Problem, match="nothing that can be imported"):
        run(empty)
    with pytest.raises(Problem, match="is not a folder"):
        run(tmp_path / "absent")
    with pytest.raises(Problem, match="--name"):
        run(empty, "../../etc")
    assert not (root / "work").exists()


@pytest.mark.usefixtures("unshipped")
def test_what_is_published_of_the_study_is_told_of_it_alone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    log = tmp_path / "old" / "train.log"
    text = "".join(logs.line(step, 4, 30 + step / 1000) for step in range(900))
    log.write_text(text + logs.restart(logs.BEGIN) + logs.line(900, 4, 30))

    def told() -> tuple[journal.View, str]:
        run(tmp_path / "old")
        path = layout.imported("old", root).journal
        assert path is not None
        view = journal.read(path)
        return view, history.tell(view)

    view, story = told()
    assert not any("machine" in attempt.details for attempt in view.attempts.values())
    assert "1 restart (1 by the supervisor, 0 by a person)" in story
    assert "| 1 | 2019-11-26 21:23:15 | not recorded | the beginning | 0 to 899 |  | crashed |  |" in story
    monkeypatch.setattr(study_2019, "TRAINING_SHA256", training_log.read([log]).sha256)
    view, story = told()
    assert [attempt.details["machine"].split()[0] for attempt in view.attempts.values()] == [
        "first", "second", "first", "first",
    ]  # fmt: skip
    assert [attempt.cause for attempt in view.attempts.values()] == ["moved", "moved", "crashed", "not recorded"]
    assert "3 restarts (1 by the supervisor, 2 by a person): 0 steps done again, at least 0.0 s lost" in story
    assert "| a person, on another machine | step 343 | 344 to 870 |  | moved | at least 0.0 s |" in story


@pytest.mark.usefixtures("unshipped")
def test_the_2019_study(root: Path) -> None:
    if not logs.STUDY.is_dir():
        pytest.skip("the study's files are not beside this checkout")
    output = run(logs.STUDY, "study-2019")
    for says in (
        "15,005 of 15,004 steps, 0 to 15,004", "7.06 days", "84, one of them the last line",
        "20 clips in 36,275.5 s, 1,813.8 s each",
        "506 variables, 1,618,528 parameters, weights not in this folder", "10 of 5 genres at steps 20, 15,000",
    ):  # fmt: skip
        assert says in output
    place = layout.imported("study-2019", root)
    assert place.journal is not None
    view = journal.read(place.journal)
    assert (len(view.steps), view.replayed, len(view.attempts)) == (15004, 1, 86)
    assert {attempt.details["machine"] for attempt in view.attempts.values()} == {"first computer", "second computer"}
    assert [attempt.start_step for attempt in view.attempts.values() if attempt.details["moved"]] == [343, 870]
    assert history.tell(view).startswith(
        "Stopped (crashed) at step 15,004, 1 step not recorded (1,791), every other one once. 85 restarts (82 by the "
        "supervisor, 3 by a person): 1 step done again, at least 151,163.3 s lost of 761,136.1 s."
    )
    assert (
        json.loads((place.metrics.parent / "times" / "generate-step-15000.json").read_text())["clips"][0]["inferred"]
        is True
    )
    # Every step ends between the stamps of its attempt.
    for number, attempt in view.attempts.items():
        times = [step.time_ms for step in view.steps.values() if step.attempt == number]
        assert attempt.end is None or not times or max(times) <= attempt.end["time_ms"]
