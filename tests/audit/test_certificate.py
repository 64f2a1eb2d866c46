"""The certificate of an honest study: what is verified, and what cannot be and says why."""

import contextlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from src.audit import certificate, pipeline, training
from src.audit.__main__ import app
from src.audit.certificate import Request
from src.audit.check import Check
from src.audit.study import Study
from tests.conftest import StudyFolder

pytestmark = pytest.mark.slow

SEED = 5


def audit(root: Path, *, clips: Path | None = None, key: Path | None = None, **asked: object) -> dict[str, Check]:
    """Name → check of a study."""
    settings = {"segments": 9, "steps": 8, "seed": SEED, "audio_s": 1.0} | asked
    request = Request(**settings, key=key)  # type: ignore[arg-type]
    checks = list(certificate.certify(Study(root, clips_folder=clips), request))
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def verdicts(checks: dict[str, Check], verdict: str) -> dict[str, str]:
    return {name: check.reason for name, check in checks.items() if check.verdict == verdict}


def test_an_honest_checkout_is_verified(finished: StudyFolder) -> None:
    checks = audit(finished.root)
    assert verdicts(checks, "refuted") == {}, checks
    assert sorted(verdicts(checks, "cannot be checked here")) == [
        "digests of the files",
        "dvc.lock against sources",
        "other measures",
        "signature",
        "source archive",
    ]
    done = checks["training done again"].reason
    assert done.startswith("7 of 7 pieces that can be, ")
    assert "bit for bit" in done


def test_an_honest_bundle_is_verified_without_the_clips_as_far_as_it_can_be(published: Path) -> None:
    checks = audit(published)
    assert verdicts(checks, "refuted") == {}
    assert sorted(verdicts(checks, "cannot be checked here")) == [
        "MLflow against the journal",
        "bits per sample of held-out songs",
        "other measures",
        "signature",
        "the clips",
        "training done again",
    ]


def test_with_the_clips_its_training_is_done_again(published: Path, finished: StudyFolder) -> None:
    checks = audit(published, clips=finished.root / "data" / "clips")
    assert verdicts(checks, "refuted") == {}
    assert "with weights and optimizer state at its end" in checks["training done again"].reason


def test_the_owner_s_key_verifies_the_signature(signed: Path, keys: dict[str, Path]) -> None:
    checks = audit(signed, key=keys["owner.pub"], segments=0)
    assert checks["signature"].verdict == "verified"
    assert verdicts(checks, "refuted") == {}
    assert "by whom it is signed" in audit(signed, segments=0)["signature"].reason


@pytest.mark.parametrize(
    ("kept", "last", "steps", "pieces"),
    [
        ([], 100, 20, [(0, 20, False)]),
        ([20, 60, 100], 100, 20, [(0, 20, True), (20, 40, False), (60, 80, False)]),
        ([20, 60, 85, 100], 100, 20, [(0, 20, True), (20, 40, False), (60, 80, False), (85, 100, True)]),
        ([2, 5, 9], 100, 10, [(0, 9, True), (2, 9, True), (5, 9, True), (9, 19, False)]),
        ([95], 100, 20, [(0, 20, False), (95, 100, False)]),
    ],
)
def test_pieces_begin_with_kept_checkpoints_and_end_at_the_last_one_within_reach(
    kept: list[int], last: int, steps: int, pieces: list[tuple[int, int, bool]]
) -> None:
    found = training.segments(kept, last, steps)
    assert [(each.start, each.end, each.kept) for each in found] == pieces


def test_the_auditor_s_numbers_draw_the_pieces() -> None:
    among = training.segments(range(100, 10_000, 100), 10_000, 50)
    drawn = {seed: training.chosen(among, 3, seed) for seed in range(50)}
    assert all(len(each) == 3 for each in drawn.values())
    assert drawn[7] == training.chosen(among, 3, 7)
    assert len({tuple(each) for each in drawn.values()}) > 40
    assert training.chosen(among[:2], 3, 1) == among[:2]


def test_the_command_prints_a_line_a_check_and_ends_with_its_status(finished: StudyFolder, tmp_path: Path) -> None:
    done = finished.run("src.audit", "--segments", "0", "--json")
    assert done.returncode == 0, done.stdout
    certificate_json = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert certificate_json["kind"] == "checkout"
    assert {check["verdict"] for check in certificate_json["checks"]} == {"verified", "cannot be checked here"}
    assert isinstance(certificate_json["asked"]["seed"], int)
    (tmp_path / "empty").mkdir()
    for arguments in (["empty"], ["missing.zip"], ["--segments", "-1"]):
        with contextlib.chdir(tmp_path):
            assert CliRunner().invoke(app, arguments).exit_code == 2


def test_a_hostile_archive_is_refuted_and_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr("../outside", "x")
    done = CliRunner().invoke(app, [str(tmp_path / "bundle.zip"), "--json"])
    assert done.exit_code == 1
    (check,) = json.loads(done.stdout[done.stdout.index("{") :])["checks"]
    assert (check["verdict"], "leads out of the bundle" in check["reason"]) == ("refuted", True)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.zip"]


def test_folders_have_the_md5_that_dvc_gives_them(tmp_path: Path) -> None:
    files = {"b.txt": b"two", "a/z.txt": b"one", "a-c.txt": b"three", "\u00e9.txt": b"four"}
    for name, content in files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    for command in (["init", "-q", "--no-scm"], ["add", "-q", "folder"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=tmp_path, check=True)
    (out,) = yaml.safe_load((tmp_path / "folder.dvc").read_text())["outs"]
    assert pipeline._md5(tmp_path / "folder") == out["md5"]
    assert pipeline._md5_of({f"x/{name}": content for name, content in files.items()}, "x") == out["md5"]
