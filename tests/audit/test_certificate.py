"""The certificate of an honest study: what is verified, and what cannot be and says why."""

import json
from pathlib import Path

import pytest

from src.audit import certificate, training
from src.audit.certificate import Request
from src.audit.check import Check
from src.audit.study import Study
from tests.conftest import StudyFolder

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
    assert "by whom cannot be said" in audit(signed, segments=0)["signature"].reason


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
    nothing = finished.run("src.audit", str(tmp_path / "empty"))
    assert nothing.returncode == 2
    assert "says which run it belongs to" in nothing.stdout
    assert finished.run("src.audit", "--segments", "-1").returncode == 2
