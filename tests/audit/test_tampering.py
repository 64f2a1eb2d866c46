"""Each way to tamper with a study is found, by the check that names it; nothing of it runs code.

Every forgery is tried twice: as it is, where digests.json names the file, and sealed anew by the forger.
"""

import hashlib
import io
import json
import shutil
import sqlite3
import stat
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from src.audit import certificate
from src.audit.certificate import Request
from src.audit.check import Check
from src.audit.study import Study
from src.audit.unpacking import HostileError, unpacked
from src.base import files
from src.base.errors import Problem
from src.bundle import layout, signing
from src.generate import generations
from src.record import checkpoint, metrics
from src.record.checkpoint import Checkpoint
from src.wavenet.network import initialise
from tests.audit import forger
from tests.audit.conftest import seal
from tests.conftest import StudyFolder

REQUEST = Request(segments=99, steps=8, seed=1, audio_s=1.0)


def checks(root: Path, *kinds: str, request: Request = REQUEST, clips: Path | None = None) -> dict[str, Check]:
    """Name → check of some kinds of evidence."""
    study = Study(root, clips_folder=clips)
    evidence = certificate.evidence(study, request)
    found = [check for kind in kinds for check in certificate.made(study, kind, evidence[kind])]
    return {check.name: check for check in found}


def refuted(root: Path, kind: str, name: str, *words: str, clips: Path | None = None) -> None:
    """A check must refute the study in these words."""
    check = checks(root, kind, clips=clips)[name]
    assert check.verdict == "refuted", check
    for word in words:
        assert word in check.reason


def named_by_digests(root: Path, *names: str) -> None:
    """Until the forger has sealed the bundle anew, its digests name what was changed; then they are silent."""
    refuted(root, "digests of the files", "digests of the files", *names)
    seal(root)
    assert checks(root, "digests of the files")["digests of the files"].verdict == "verified"


def wav_of(root: Path, step: int = 10) -> Path:
    return root / "generations" / f"step-{step}" / "rock.wav"


def page_of(root: Path) -> Path:
    return root / "reports" / "compare-2-10-30"


def test_one_loss_in_a_journal_chained_anew(bundle: Path) -> None:
    forger.rewrite(bundle, forger.with_loss(7, 4.0))
    named_by_digests(bundle, "journal.jsonl")
    assert checks(bundle, "the journal's chain")["the journal's chain"].verdict == "verified"
    refuted(bundle, "checkpoints", "checkpoints against losses", "Step 10 was reached by other losses")


def test_one_loss_in_a_journal_as_it_is(bundle: Path) -> None:
    path = forger.journal_of(bundle)
    lines = path.read_text().splitlines(keepends=True)
    place = next(index for index, line in enumerate(lines) if '"step": 7,' in line)
    lines[place] = lines[place].replace('"loss": 5.', '"loss": 4.')
    path.write_text("".join(lines))
    named_by_digests(bundle, "journal.jsonl")
    refuted(bundle, "the journal's chain", "the journal's chain", "behind step 6 ")


def test_one_byte_of_weights(bundle: Path) -> None:
    for folder in forger.folders(bundle, 10):
        forger.flip(folder / "weights.safetensors", -5)
    named_by_digests(bundle, "checkpoints/step-10/weights.safetensors")
    refuted(bundle, "checkpoints", "checkpoints", "step-10/weights.safetensors is damaged")


def test_one_weight_in_a_checkpoint_described_anew(bundle: Path) -> None:
    def nudged(one: Checkpoint) -> Checkpoint:
        one.weights["skip.bias"][0] += 1e-3
        return one

    forger.replace_checkpoint(bundle, 10, nudged)
    named_by_digests(bundle, "checkpoints/step-10/weights.safetensors")
    found = checks(bundle, "checkpoints")
    assert found["checkpoints"].verdict == "verified"
    refuted(
        bundle, "checkpoints", "checkpoints against the journal's lines", "Step 10: checkpoint.json, weights.safete"
    )
    refuted(
        bundle, "checkpoints", "what was made from which checkpoint", "generations of step 10", "measures of step 10"
    )


def test_one_sample_of_a_wav(bundle: Path) -> None:
    path = wav_of(bundle)
    samples, rate_hz = soundfile.read(path, dtype="int16")
    samples[777] += np.int16(1)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    named_by_digests(bundle, "generations/step-10/rock.wav")
    refuted(bundle, "generations", "generations' files", "At step 10, rock.wav is not the file")
    about = path.with_name(generations.NAME)
    content = json.loads(about.read_text())
    (clip,) = (one for one in content["clips"] if one["file"] == "rock.wav")
    clip["sha256"] = files.sha256_of(path)
    files.write_json(about, content)
    refuted(bundle, "generations", "generations made again", "At step 10, rock.wav is another sound from sample 777 on")
    refuted(bundle, "dvc.lock", "dvc.lock against outputs", "generations is not what the stage generate wrote")


@pytest.mark.parametrize(
    ("file", "before", "after", "kind", "name", "word"),
    [
        (
            "params/tiny.yaml",
            "learning_rate: 0.002",
            "learning_rate: 0.004",
            "the run's fingerprint",
            "",
            "make the run",
        ),
        ("params.yaml", "seed: 2019", "seed: 2020", "the run's fingerprint", "", "make the run"),
        ("params/tiny.yaml", "start: silence", "start: zeros", "generations", "generations' files", "start is silence"),
        (
            "params/tiny.yaml",
            "seconds_per_clip: 1",
            "seconds_per_clip: 2",
            "dvc.lock",
            "dvc.lock against parameters",
            "evaluate.seconds_per_clip was 1 and is 2",
        ),
    ],
)
def test_one_parameter(bundle: Path, file: str, before: str, after: str, kind: str, name: str, word: str) -> None:
    forger.change_yaml_text(bundle / file, before, after)
    named_by_digests(bundle, file)
    refuted(bundle, kind, name or kind, word)
    refuted(bundle, "dvc.lock", "dvc.lock against parameters", after.partition(": ")[2])


def test_one_metric_in_mlflow(checkout: Path) -> None:
    def change(sql: str) -> None:
        with sqlite3.connect(checkout / "mlruns" / "mlflow.db") as connection:
            assert connection.execute(sql).rowcount == 1

    kind = "MLflow against the journal"
    assert checks(checkout, kind)[kind].verdict == "verified"
    change("UPDATE metrics SET value = 4.25 WHERE key = 'learning/loss' AND step = 7")
    refuted(checkout, kind, kind, "loss of step 7 is 4.25 there")
    change("UPDATE metrics SET value = 9.5 WHERE key = 'scores/bits_per_sample/rock' AND step = 30")
    refuted(checkout, kind, "MLflow against the measures", "scores/bits_per_sample/rock of step 30 is 9.5 there")
    change("UPDATE params SET value = '7' WHERE key = 'seed'")
    refuted(checkout, kind, "MLflow against the parameters", "seed is 7 there and 2019 here")


def test_an_mlflow_that_older_code_filled_is_compared_too(checkout: Path) -> None:
    with sqlite3.connect(checkout / "mlruns" / "mlflow.db") as connection:
        for table in ("metrics", "latest_metrics"):
            for (name,) in connection.execute(f"SELECT DISTINCT key FROM {table} WHERE key LIKE '%/%'").fetchall():
                connection.execute(f"UPDATE {table} SET key = ? WHERE key = ?", (metrics.older(name), name))
    verdicts = checks(checkout, "MLflow against the journal")
    assert {verdicts[kind].verdict for kind in verdicts if kind.startswith("MLflow")} == {"verified"}


def test_one_sentence_of_the_page(bundle: Path) -> None:
    said = json.loads((page_of(bundle) / "comparison.json").read_text())["sentences"][0]
    path = page_of(bundle) / "index.html"
    text = path.read_text()
    assert said in text
    path.write_text(text.replace(said, "It sounds like music now."))
    named_by_digests(bundle, "index.html")
    refuted(bundle, *["the page's sentences and tables"] * 2, "“It sounds like music now.”, which does not follow")


def test_one_figure_of_the_comparison_and_one_sound_of_the_page(bundle: Path) -> None:
    path = page_of(bundle) / "comparison.json"
    content = json.loads(path.read_text())
    content["runs"][0]["median_loss_nats"]["30"] = 1.0
    files.write_json(path, content)
    (page_of(bundle) / "audio" / "noise.mp3").write_bytes(b"other")
    named_by_digests(bundle, "comparison.json")
    refuted(bundle, "the page's sentences and tables", "comparison.json", "runs[0].median_loss_nats.30")
    refuted(bundle, "the page's sentences and tables", "the page's sounds and pictures", "audio/noise.mp3")


def test_one_measure(bundle: Path) -> None:
    path = bundle / "metrics" / "evaluate.json"
    content = json.loads(path.read_text())
    content["steps"]["30"]["rock"]["tempo_strength"]["value"] = -3.0
    files.write_json(path, content)
    named_by_digests(bundle, "metrics/evaluate.json")
    refuted(bundle, "generations", "measures of the generations' sound", "tempo_strength of rock at step 30 is -3.0")


def test_one_file_of_the_source_archive(bundle: Path) -> None:
    path = bundle / layout.SOURCE
    changed = io.BytesIO()
    with tarfile.open(path) as before, tarfile.open(fileobj=changed, mode="w:gz") as after:
        for member in before:
            content = before.extractfile(member) if member.isfile() else None
            data = content.read() if content else b""
            if member.name.endswith("src/wavenet/mulaw.py"):
                data += b"\nimport os; os.abort()\n"
                member.size = len(data)
            after.addfile(member, io.BytesIO(data) if content else None)
    path.write_bytes(changed.getvalue())
    named_by_digests(bundle, "source.tar.gz")
    refuted(bundle, "source archive", "source archive", "src/wavenet/mulaw.py")
    refuted(bundle, "dvc.lock", "dvc.lock against sources", "src/wavenet")


def test_a_dropped_line(bundle: Path) -> None:
    path = forger.journal_of(bundle)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"step": 12,' not in line))
    named_by_digests(bundle, "journal.jsonl")
    refuted(bundle, "the journal's chain", "the journal's chain", "behind step 11 ")
    forger.rewrite(bundle, lambda records: records)
    assert checks(bundle, "the journal's chain")["the journal's chain"].verdict == "verified"
    refuted(bundle, "the attempts' story", "the attempts' story", "Step 12 is missing")


def test_two_swapped_checkpoints(bundle: Path) -> None:
    here = bundle / "checkpoints"
    (here / "step-2").rename(here / "aside")
    (here / "step-10").rename(here / "step-2")
    (here / "aside").rename(here / "step-10")
    named_by_digests(bundle, "checkpoints/step-10/weights.safetensors", "checkpoints/step-2/checkpoint.json")
    refuted(bundle, "checkpoints", "checkpoints", "it holds step 10", "it holds step 2")


def test_an_earlier_checkpoint_passed_off_as_a_later_one(bundle: Path, finished: StudyFolder) -> None:
    """As step 14,000 for 15,000; and again by a forger who knows everything but cannot train."""
    (earlier,) = forger.folders(bundle, 25)
    stale = checkpoint.load(earlier)
    forger.replace_checkpoint(bundle, 30, lambda _: replace(stale, step=30))
    named_by_digests(bundle, "checkpoints/step-30/optimizer.safetensors")
    refuted(bundle, "checkpoints", "checkpoints", "The optimizer of step 30 has made 25 updates")
    refuted(bundle, "checkpoints", "checkpoints against losses", "Step 30 was reached by other losses")

    def counted(one: Checkpoint) -> Checkpoint:
        one.optimizer["updates"] = torch.tensor(30)
        return one

    forger.replace_checkpoint(bundle, 30, counted)
    forger.cover_up(bundle)
    assert {check.verdict for check in checks(bundle, "checkpoints").values()} == {"verified"}
    clips = finished.root / "data" / "clips"
    refuted(bundle, *["training done again"] * 2, "the weights of step 30 are not those of its checkpoint", clips=clips)


def test_a_run_that_was_not_trained(bundle: Path, finished: StudyFolder) -> None:
    """Losses made up, weights from elsewhere, everything else consistent: only doing it again tells."""

    def elsewhere(one: Checkpoint) -> Checkpoint:
        weights = {name: tensor.detach() for name, tensor in initialise(one.model, one.step).state_dict().items()}
        return replace(one, weights=weights)

    def made_up(records: list[forger.Record]) -> list[forger.Record]:
        return [
            record | {"loss": 5.5 - 0.1 * record["step"]} if record["kind"] == "step" else record for record in records
        ]

    forger.rewrite(bundle, made_up)
    for step in (2, 5, 10, 15, 25, 30):
        forger.replace_checkpoint(bundle, step, elsewhere)
    forger.cover_up(bundle)
    seal(bundle)
    consistent = ("digests of the files", "the journal's chain", "the attempts' story", "checkpoints")
    assert [check for check in checks(bundle, *consistent).values() if check.verdict != "verified"] == []
    assert "nobody can train again" in checks(bundle, "training done again")["training done again"].reason
    clips = finished.root / "data" / "clips"
    refuted(bundle, *["training done again"] * 2, "Step 1, trained again", "Step 11, trained again", clips=clips)


def test_another_s_clips_are_not_those_of_the_study(bundle: Path, finished: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(finished.root / "data" / "clips", tmp_path / "clips")
    table = tmp_path / "clips" / "clips.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))
    refuted(bundle, "the clips", "the clips", "not those that the study names", clips=tmp_path / "clips")
    assert checks(bundle, "training done again", clips=tmp_path / "clips")["training done again"].verdict != "verified"


def with_key(key: Path) -> Request:
    return replace(REQUEST, key=key)


def test_a_change_of_what_was_signed(signed: Path, keys: dict[str, Path]) -> None:
    request = with_key(keys["owner.pub"])
    assert checks(signed, "signature", request=request)["signature"].verdict == "verified"
    (signed / "params.yaml").write_text((signed / "params.yaml").read_text() + "# but\n")
    seal(signed)
    assert checks(signed, "signature", request=request)["signature"].verdict == "refuted"


def test_a_stripped_signature(signed: Path, keys: dict[str, Path]) -> None:
    (signed / layout.SIGNATURE).unlink()
    found = checks(signed, "signature", request=with_key(keys["owner.pub"]))["signature"]
    assert (found.verdict, "stripped" in found.reason) == ("refuted", True)
    assert "unsigned" in checks(signed, "signature")["signature"].reason


def test_a_signature_by_another_key(bundle: Path, keys: dict[str, Path]) -> None:
    signing.sign(bundle, keys["other.pem"])
    assert checks(bundle, "signature", request=with_key(keys["owner.pub"]))["signature"].verdict == "refuted"
    assert checks(bundle, "signature", request=with_key(keys["other.pub"]))["signature"].verdict == "verified"


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (entry("../../outside"), "leads out of the bundle"),
        (entry("/etc/outside"), "leads out of the bundle"),
        (entry("a/../../outside"), "leads out of the bundle"),
        (entry("a\\..\\outside"), "leads out of the bundle"),
        (entry("link", stat.S_IFLNK | 0o777), "link is a symbolic link"),
        (entry("null", stat.S_IFCHR | 0o666), "null is a device"),
        (entry("pipe", stat.S_IFIFO | 0o666), "null is a device".replace("null", "pipe")),
    ],
)
def test_an_entry_that_no_bundle_has(tmp_path: Path, info: zipfile.ZipInfo, words: str) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry("params.yaml"), "seed: 1\n")
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(HostileError, match=words), unpacked(path):
        pass
    assert [item.name for item in tmp_path.iterdir()] == ["bundle.zip"]


def test_a_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as file:
        for _ in range(60):
            file.write(bytes(2**20))
    with pytest.raises(HostileError, match="a zip bomb"), unpacked(path):
        pass
    monkeypatch.setattr("src.audit.unpacking.MOST_BYTES", 1000)
    with pytest.raises(HostileError, match="more than 1,000 are not unpacked"), unpacked(path):
        pass
    monkeypatch.setattr("src.audit.unpacking.MOST_FILES", 0)
    with pytest.raises(HostileError, match="1 entries"), unpacked(path):
        pass
    path.write_bytes(b"PK no zip")
    with pytest.raises(Problem, match="cannot be unpacked"), unpacked(path):
        pass


def test_an_honest_zip_is_audited_as_its_folder_is(published: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "bundle"), "zip", published.parent, published.name))
    with unpacked(archive) as root:
        found = checks(root, "digests of the files", "the run's fingerprint", "checkpoints")
        assert {check.verdict for check in found.values()} == {"verified"}
    assert not root.exists()


@pytest.mark.parametrize(
    "make", [lambda path: path.symlink_to("/dev/zero"), lambda path: __import__("os").mkfifo(path)]
)
def test_a_link_in_a_bundle_stops_the_audit(bundle: Path, make: Callable[[Path], None]) -> None:
    path = bundle / "metrics" / "train.json"
    path.unlink()
    make(path)
    (found,) = certificate.certify(Study(bundle), REQUEST)
    assert found.verdict == "refuted"
    assert "metrics/train.json is a" in found.reason


@pytest.mark.parametrize(
    ("file", "content", "kind"),
    [
        ("params.yaml", "a: &a [x, x]\nb: [*a, *a]\n", "the run's fingerprint"),
        ("params.yaml", "!!python/object/apply:os.abort []\n", "the run's fingerprint"),
        ("dvc.lock", "stages: {train: {outs: [{path: ../../etc/passwd, md5: 1}]}}\n", "dvc.lock"),
        ("metrics/evaluate.json", "[" * 100_000, "generations"),
        ("metrics/train.json", '{"median_loss_nats": [1]}', "losses in metrics/train.json"),
        ("generations/step-10/generation.json", '{"step": 10}', "generations"),
        ("source.tar.gz", "no archive", "source archive"),
        ("digests.json", '{"format": 1, "files": {"../x": {"sha256": "", "bytes": 1}}}', "digests of the files"),
        ("reports/compare-2-10-30/comparison.json", '{"listening": null}', "the page's sentences and tables"),
    ],
)
def test_rubbish_is_refuted_and_never_executed(bundle: Path, file: str, content: str, kind: str) -> None:
    (bundle / file).write_text(content)
    found = checks(bundle, kind)
    assert [check for check in found.values() if check.verdict == "refuted"], found


def test_weights_that_are_pickled_are_refused(bundle: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (bundle / "run",))

    import pickle

    (folder, *_) = forger.folders(bundle, 10)
    content = pickle.dumps(Bomb())
    (folder / "weights.safetensors").write_bytes(content)
    about = json.loads((folder / "checkpoint.json").read_text())
    about["weights_sha256"] = hashlib.sha256(content).hexdigest()
    about["about_sha256"] = checkpoint.About.model_validate_json(json.dumps(about)).digest()
    (folder / "checkpoint.json").write_text(json.dumps(about))
    refuted(bundle, "checkpoints", "checkpoints", "weights.safetensors is damaged")
    assert not (bundle / "run").exists()
