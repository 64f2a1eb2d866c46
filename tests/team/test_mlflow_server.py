"""MLflow's server with PostgreSQL and passwords, both killed in the middle of a training: every step is there."""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml

from benchmarks import mlflow_server, postgres
from benchmarks.mlflow_server import Server
from benchmarks.postgres import Postgres
from src.record import checkpoint, journal, metrics, shipping
from src.record.tracking import Store, TrackingError
from tests.conftest import PATIENCE_S, ROOT, StudyFolder, make_study, write_clips
from tests.processes import book, hashes, held, sabotaged, training_folder, wait_for_step, wait_until

pytestmark = pytest.mark.skipif(
    postgres.PROGRAMS is None and "WAVENET_REQUIRE_POSTGRESQL" not in os.environ,
    reason="no PostgreSQL on this machine (apt-get install postgresql)",
)

SECTION = (ROOT / "docs" / "team.md").read_text(encoding="utf-8").partition("\n## ")[2].partition("\n## ")[0]
STEPS = 300


@dataclass(frozen=True)
class Team:
    """A study that was trained against the server, and what the two need to be asked again."""

    study: StudyFolder
    server: Server
    database: Postgres
    account: dict[str, str]
    printed: str

    @property
    def word(self) -> str:
        """The password, which nobody may find anywhere."""
        return self.account["MLFLOW_TRACKING_PASSWORD"]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A finished training; server and database were killed in the middle of it."""
    folder = tmp_path_factory.mktemp("team")
    study = make_study(folder / "study", steps=(20, STEPS))
    study.change("params/tiny.yaml", train__steps=STEPS, train__checkpoint_every=50, train__validate_every=50)
    write_clips(study.root / "data" / "clips", clips_per_genre=3, duration_s=3.0)
    (folder / "server").mkdir()
    account = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": secrets.token_hex(8)}
    settings = {
        "MLFLOW_AUTH_CONFIG_PATH": str(ROOT / "docs" / "accounts.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": account["MLFLOW_TRACKING_PASSWORD"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
    }
    with (
        Postgres() as database,
        Server(folder / "server", database.uri, auth=True, PGPASSWORD=database.password, **settings) as server,
    ):
        # The trainer waits 0.05 s at every step, so that the servers are away for a part of the training.
        words = sabotaged(slow_s=0.05) | account | {"MLFLOW_TRACKING_URI": server.uri}
        with held(study, 100, partial(study.start, "src.train", **words)) as training:
            wait_until(lambda: shipped(study), training)
            assert shipped(study) <= 100
        with server.killed():
            database.kill()
            wait_for_step(study, 160, training)
            database.start()
        printed, _ = training.communicate(timeout=PATIENCE_S)
        assert training.returncode == 0, printed
        # The page's commands for whoever trains: they send what the outage left over, and fetch the newest checkpoint.
        words = {**account, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        lines = "\n".join(["set -e", *blocks()[2]]).replace("http://127.0.0.1:5000", server.uri)
        again = subprocess.run(
            ["bash", "-c", lines],
            cwd=study.root,
            env=study.environment(**words),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert again.returncode == 0, again.stdout
        yield Team(study, server, database, account, printed + again.stdout)


def shipped(study: StudyFolder) -> int:
    """The last step that MLflow has."""
    return max(map(shipping.shipped_step, (study.root / "work" / "train").glob("*")), default=0)


@pytest.fixture
def asked(team: Team, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, str]:
    """The server's store as this process sees it, and the study's run there."""
    for name, value in team.account.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", team.server.uri)
    store = Store()
    run_id = store.find(training_folder(team.study).name)
    assert run_id is not None
    return store, run_id


def test_every_step_is_there_once(team: Team, asked: tuple[Store, str]) -> None:
    store, run_id = asked
    view = journal.read(book(team.study))
    assert len(view.attempts) == 1  # the training noticed nothing
    points = sorted((step, value, at) for _, value, at, step in store.history(run_id, metrics.LOSS))
    assert points == [(line.step, line.loss, line.time_ms) for _, line in sorted(view.steps.items())]
    assert [step for step, _, _ in points] == list(range(1, STEPS + 1))


def test_a_checkpoint_comes_back_from_the_registry_byte_for_byte(team: Team, asked: tuple[Store, str]) -> None:
    folder = team.study.root / "newest"
    assert hashes(folder) == hashes(team.study.root / "checkpoints" / f"step-{STEPS}")
    assert checkpoint.load(folder).step == STEPS
    aliases = asked[0]._client.get_registered_model("wavenet").aliases
    assert set(aliases) == {"newest", "step-20", f"step-{STEPS}"}


def test_no_credentials_are_anywhere(team: Team) -> None:
    texts = {"what was printed": team.printed, "the database": team.database.dump()}
    texts |= {
        str(path): path.read_bytes().decode("latin-1")
        for path in [*team.study.root.rglob("*"), *(team.server.folder / "artifacts").rglob("*")]
        if path.is_file()
    }
    assert len(texts) > 30
    assert "wavenet-study" in texts["the database"]
    assert [where for where, text in texts.items() if team.word in text] == []


def test_credentials_in_the_address_work_and_are_neither_said_nor_kept(
    team: Team, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    word = team.word
    address = team.server.uri.replace("://", f"://admin:{word}@")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    store = Store()
    assert store.uri == team.server.uri
    assert shipping.is_complete(training_folder(team.study), store.uri)
    store.status(store.run("f" * 16, "said", {}, {}), "FINISHED")  # here MLflow prints the run's address
    for wrong in (address.replace(word, word[:-1]), f"http://admin:{word}@127.0.0.1:9"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", wrong)
        with pytest.raises(TrackingError) as refused:
            Store()
        assert word[:-1] not in str(refused.value)
    assert word[:-1] not in "".join(capfd.readouterr())


def test_without_a_password_nobody_gets_in(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", team.server.uri)
    with pytest.raises(TrackingError, match="MLflow could not be used") as refused:
        Store()
    assert "\n" not in str(refused.value)


def blocks() -> list[list[str]]:
    """The lines of each of the section's blocks of commands."""
    return [block.splitlines() for block in re.findall(r"^```\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)]


def test_the_page_s_commands_are_those_that_ran() -> None:
    database, server, _ = blocks()
    assert database == postgres.commands(5432)
    *settings, command = server
    backend = "postgresql://mlflow@127.0.0.1:5432/mlflow"
    assert command.split() == mlflow_server.command(5000, backend, auth=True)
    names = {"MLFLOW_AUTH_CONFIG_PATH", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"}
    assert {line.split()[1].split("=")[0] for line in settings} == names | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION"}


def test_the_containers_run_the_same_and_listen_here_alone() -> None:
    composed = yaml.safe_load((ROOT / "docs" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    command = mlflow_server.command(5000, "postgresql://mlflow@database:5432/mlflow", auth=True)
    command[command.index("127.0.0.1")] = "0.0.0.0"  # of the container; outside it is the next line
    assert composed["mlflow"]["command"].split() == command
    assert [one["ports"] for one in composed.values() if "ports" in one] == [["127.0.0.1:5000:5000"]]
