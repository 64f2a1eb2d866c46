"""MLflow's runs: whose parameters they show, and what its stores and servers may do wrong."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src import config
from src.base.errors import Problem
from src.generate import __main__ as generate
from src.record import guarded, layout, registry, tracking
from src.record.tracking import Store, TrackingError
from tests.conftest import StudyFolder

IMPORTED = "study-2019-0123456789abcdef"
OWN = "0123456789abcdef"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("root"))


def test_an_imported_run_never_gets_the_study_s_parameters(store: Store, study: StudyFolder) -> None:
    params = config.load(study.root)
    with pytest.raises(TrackingError, match=f"MLflow has no run {IMPORTED}"):
        tracking.study_run(store, IMPORTED, params)
    assert store.find(IMPORTED) is None
    run_id = store.run(IMPORTED, "study-2019", {"genres": "rock"}, {"imported": "true"})
    assert tracking.study_run(store, IMPORTED, params) == run_id
    assert store._client.get_run(run_id).data.params == {"genres": "rock"}


def test_the_study_s_own_run_gets_its_parameters(store: Store, study: StudyFolder) -> None:
    params = config.load(study.root)
    run_id = tracking.study_run(store, OWN, params)
    shown = store._client.get_run(run_id).data
    assert shown.params["train.learning_rate"] == "0.002"
    assert "imported" not in shown.tags
    assert tracking.study_run(store, OWN, params) == run_id


def test_generating_with_an_imported_run_adds_audio_and_no_parameter(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(study.root)
    params = config.load()
    (layout.IMPORTED / "study-2019" / "generations" / "step-7").mkdir(parents=True)
    (layout.IMPORTED / "study-2019" / "generations" / "step-7" / "rock.wav").write_bytes(b"RIFF")
    run = layout.imported("study-2019")
    made = [generate.Made(7, IMPORTED, seconds=2.0, times_real_time=1.0)]
    generate._log(run, made, params)
    assert f"MLflow has no run {IMPORTED}" in " ".join(capsys.readouterr().err.split())
    store = Store(Path())
    run_id = store.run(IMPORTED, "study-2019", {"genres": "rock"}, {"imported": "true"})
    generate._log(run, made, params)
    shown = store._client.get_run(run_id).data
    assert shown.params == {"genres": "rock"}
    assert shown.metrics["run/generation_seconds"] == 2.0
    assert [item.path for item in store._client.list_artifacts(run_id, "generations/step-7")]


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://nobody@127.0.0.1:1/none",  # no driver, or no server
        "mysql+pymysql://127.0.0.1:1/none",
        "s3://bucket/none",
        "http://[::1",
        "nonsense://",
        "sqlite:////proc/none/mlflow.db",
        "http://127.0.0.1:1",
    ],
)
def test_whatever_an_address_leads_to_is_one_sentence(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)  # it would ask a database again for a minute
    with pytest.raises(TrackingError, match="MLflow could not be used") as refused:
        Store()
    assert "\n" not in str(refused.value)


def test_a_folder_where_the_database_belongs_is_named(tmp_path: Path) -> None:
    (tmp_path / tracking.DATABASE).mkdir(parents=True)
    with pytest.raises(TrackingError, match=r"mlflow\.db is a folder"):
        Store(tmp_path)


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / tracking.DATABASE).write_bytes(b"no database" * 100)
    with pytest.raises(TrackingError, match="not a database"):
        Store(tmp_path)


@pytest.fixture(params=["drips", "retry later"])
def slow_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a server whose answer takes an hour."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        if request.param == "retry later":
            connection.sendall(b"HTTP/1.1 429 Slow down\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3600\r\n\r\n")
            while not over.wait(0.2):
                connection.sendall(b" ")
        connection.close()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    over.set()
    listening.close()


def test_a_server_that_takes_an_hour_is_given_up(slow_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", slow_server)
    monkeypatch.setattr(guarded, "LONGEST_CALL_S", 2.0)
    with pytest.raises(TrackingError, match="no answer to get_experiment_by_name within 2 s"):
        Store()


def test_a_call_that_hangs_is_the_last_one_that_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    class Hanging:
        def hang(self) -> None:
            called.append(1)
            time.sleep(60)

    monkeypatch.setattr(guarded, "LONGEST_CALL_S", 0.2)
    client = guarded.Bounded(Hanging)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            client.hang()
    assert called == [1]


def test_a_deleted_experiment_is_named_with_the_command_that_restores_it(tmp_path: Path) -> None:
    first = Store(tmp_path)
    first._client.delete_experiment(first._experiment)
    with pytest.raises(TrackingError, match=r"was deleted.*mlflow experiments restore --experiment-id 1"):
        Store(tmp_path)


def test_a_deleted_run_is_made_again(store: Store) -> None:
    first = store.run("f" * 16, "n", {"a": 1}, {})
    store._client.delete_run(first)
    second = store.run("f" * 16, "n", {"a": 1}, {})
    assert second != first
    assert store.find("f" * 16) == second


def test_a_folder_s_name_may_hold_signs_that_mean_something_in_an_address(tmp_path: Path) -> None:
    root = tmp_path / "100% what? a%20b #1"
    root.mkdir()
    (root / "sound.wav").write_bytes(b"RIFF")
    code = (
        "from pathlib import Path; from src.record.tracking import Store; store = Store(); "
        "run = store.run('0123456789abcdef', 'n', {}, {}); store.files(run, Path('sound.wav'), 'generations'); "
        "print([item.path for item in store._client.list_artifacts(run, 'generations')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=StudyFolder(root).environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['generations/sound.wav']"
    assert (root / tracking.DATABASE).is_file()
    assert [path.name for path in root.parent.iterdir()] == [root.name]  # nothing beside the checkout


class Client:
    """In place of MLflow's client: it notes every call and answers as it is told."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.calls.append((name, given, named))
            return self._answers.get(name)

        return call

    def sent(self, kind: str) -> list[list[Any]]:
        """What each call of log_batch sent of a kind."""
        return [named[kind] for name, _, named in self.calls if name == "log_batch" and kind in named]


def store_with(client: Client) -> Store:
    made = Store.__new__(Store)
    made._client, made._experiment, made.uri = client, "1", "nowhere"
    made.registry = registry.Registry(client, "1")
    return made


def test_more_metrics_than_a_call_takes_are_sent_in_several_each_once() -> None:
    client = Client()
    store_with(client).points("run", [("R&B+", step / 2, 1000 + step, step) for step in range(2500)])
    sent = client.sent("metrics")
    assert [len(part) for part in sent] == [1000, 1000, 500]
    assert [(m.key, m.value, m.timestamp, m.step) for part in sent for m in part] == [
        ("RandBplus", step / 2, 1000 + step, step) for step in range(2500)
    ]


def test_parameters_that_are_missing_are_sent_in_parts_and_no_others() -> None:
    run = SimpleNamespace(
        info=SimpleNamespace(run_id="7"), data=SimpleNamespace(tags={"journal": "aaaa"}, params={"train.p0": "0"})
    )
    client = Client(search_runs=[run])
    params = {"train": {f"p{number}": number for number in range(250)}, "long": "x" * 7000}
    assert store_with(client).run("f" * 16, "name", params, {}, journal_id="aaaa") == "7"
    sent = client.sent("params")
    assert [len(part) for part in sent] == [100, 100, 50]
    values = {param.key: param.value for part in sent for param in part}
    assert values == {f"train.p{number}": str(number) for number in range(1, 250)} | {"long": "x" * 6000}
    assert not [name for name, _, _ in client.calls if name in ("create_run", "set_tag")]


def test_nested_values_get_dotted_names() -> None:
    assert tracking.flatten({"a": 1, "b": {"c": {"d": None}, "e": (1, 2)}}) == {"a": 1, "b.c.d": None, "b.e": (1, 2)}


def test_how_far_a_metric_is_counts_whatever_its_order() -> None:
    history = [SimpleNamespace(step=step) for step in (3, 20, 7)]
    run = SimpleNamespace(data=SimpleNamespace(metrics={"loss": 1.0}))
    store = store_with(Client(get_run=run, get_metric_history=history))
    assert store.last_step("run", "loss") == 20
    assert store.last_step("run", "another") == -1


def test_a_run_that_goes_on_is_no_terminated_one() -> None:
    client = Client()
    store = store_with(client)
    store.status("run", "RUNNING")
    store.status("run", "KILLED", 5000)
    assert client.calls == [
        ("update_run", ("run",), {"status": "RUNNING"}),
        ("set_terminated", ("run",), {"status": "KILLED", "end_time": 5000}),
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("first\nsecond"), "MLflow could not be used (testing): first."),
        (ValueError("  "), "MLflow could not be used (testing): ValueError."),
        (ValueError("x" * 400), "MLflow could not be used (testing): " + "x" * 300 + "."),
        (Problem("One sentence."), "One sentence."),
    ],
)
def test_whatever_mlflow_raises_is_one_line(error: Exception, said: str) -> None:
    with pytest.raises(TrackingError) as refused, guarded.guarded("testing"):
        raise error
    assert str(refused.value) == said


def test_a_measure_that_is_there_is_not_sent_again_and_a_new_value_is_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "now_ms", lambda: 9000)
    known = [SimpleNamespace(key="rock.bits", value=7.5), SimpleNamespace(key="hip.bits", value=6.0)]
    client = Client(get_logged_model=SimpleNamespace(metrics=known))
    points = [("rock.bits", 7.5, 100, 20), ("hip.bits", 5.5, 100, 20), ("metal.bits", 4.0, 100, 20)]
    store_with(client).registry.points("run", "model", points)
    (sent,) = client.sent("metrics")
    assert [(m.key, m.value, m.timestamp, m.step, m.model_id) for m in sent] == [
        ("hip.bits", 5.5, 9000, 20, "model"),
        ("metal.bits", 4.0, 100, 20, "model"),
    ]


def test_a_folder_s_files_are_copied_in_their_order_and_one_file_alone(tmp_path: Path) -> None:
    for name in ("b.wav", "a.wav"):
        (tmp_path / name).touch()
    client = Client()
    store_with(client).files("run", tmp_path, "generations")
    store_with(client).files("run", tmp_path / "b.wav", "audio")
    assert [given for _, given, _ in client.calls] == [
        ("run", str(tmp_path / "a.wav"), "generations"),
        ("run", str(tmp_path / "b.wav"), "generations"),
        ("run", str(tmp_path / "b.wav"), "audio"),
    ]


def test_an_evaluation_is_logged_to_the_step_s_checkpoint_at_the_time_it_was_trained() -> None:
    known = SimpleNamespace(model_id="m-1", metrics=[])
    client = Client(search_logged_models=[known], get_logged_model=known)
    tracking.log_evaluation(store_with(client), "run", "f" * 16, 20, {"rock.bits": 4.5, "hip.bits": 3.5}, 1234)
    (sent,) = client.sent("metrics")
    assert [(m.key, m.value, m.timestamp, m.step, m.model_id) for m in sent] == [
        ("hip.bits", 3.5, 1234, 20, "m-1"),
        ("rock.bits", 4.5, 1234, 20, "m-1"),
    ]
    (looked,) = [given for name, given, _ in client.calls if name == "search_logged_models"]
    assert looked[1] == "name = 'step-20' and source_run_id = 'run'"


def test_the_training_set_is_recorded_by_its_digest_and_counts_alone() -> None:
    client = Client()
    store_with(client).registry.dataset("run", "clips", "d" * 64, {"train_rock": 7})
    ((name, given, named),) = client.calls
    (recorded,) = named["datasets"]
    assert (name, given) == ("log_inputs", ("run",))
    assert (recorded.dataset.name, recorded.dataset.digest) == ("clips", "d" * 36)  # as much as MLflow takes
    assert json.loads(recorded.dataset.profile) == {"train_rock": 7}
    assert [(tag.key, tag.value) for tag in recorded.tags] == [("mlflow.data.context", "training")]
