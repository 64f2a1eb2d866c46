"""A bundle holds what may be published of a study, whole, the same every time, and nothing private."""

import gzip
import hashlib
import html
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import safetensors.numpy

from src.bundle import layout, page
from src.clips.clipset import ClipSet
from src.generate import generations
from src.record import journal
from tests.bundle.conftest import bundle, refusal
from tests.conftest import ROOT, change_yaml
from tests.planted import PLANT

pytestmark = pytest.mark.slow

STEPS = (2, 10, 30)


def listed(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def training(study: Path) -> Path:
    return next((study / "work" / "train").glob("*/journal.jsonl")).parent


def test_it_mirrors_the_checkout_and_has_every_part(finished: Path, published: Path) -> None:
    content = listed(published)
    own = {name for name in content if (finished / name).is_file() and name != layout.SOURCE}
    assert all(content[name] == (finished / name).read_bytes() for name in own)
    assert content.keys() - own == {
        layout.PAGE,
        layout.CRATE,
        layout.DIGESTS,
        layout.ENVIRONMENT,
        layout.SOURCE,
        layout.PRIVATE,
    }
    run = training(finished).relative_to(finished).as_posix()
    expected = {"params.yaml", "params/tiny.yaml", "dvc.yaml", "dvc.lock", "requirements.lock", f"{run}/journal.jsonl"}
    expected |= {f"checkpoints/step-{step}/weights.safetensors" for step in STEPS}
    expected |= {f"generations/step-{step}/rock.wav" for step in STEPS}
    expected |= {"metrics/evaluate.json", "metrics/plots/bits.csv", "reports/compare-2-10-30/index.html"}
    assert expected <= own
    assert {Path(name).parts[0] for name in own} & {"data", "mlruns", "src", ".git"} == set()
    assert not any(
        name.startswith(f"{run}/checkpoints/") or name.endswith(("lock", "shipped.json"))
        for name in own
        - {
            "dvc.lock",
            "requirements.lock",
        }
    )


def test_digests_name_every_file_and_the_zip_has_the_same(published: Path) -> None:
    content = listed(published)
    digests = layout.read(published / layout.DIGESTS, layout.Digests).files
    assert digests.keys() == content.keys() - layout.NOT_IN_DIGESTS
    for name, item in digests.items():
        assert (item.sha256, item.bytes) == (hashlib.sha256(content[name]).hexdigest(), len(content[name]))
    with zipfile.ZipFile(published.with_name("bundle.zip")) as archive:
        assert {item.filename: archive.read(item) for item in archive.infolist()} == content
        assert all(item.date_time == (1980, 1, 1, 0, 0, 0) for item in archive.infolist())


def test_the_music_is_named_by_digests_over_the_whole_set(finished: Path, published: Path) -> None:
    private = layout.read(published / layout.PRIVATE, layout.Private)
    assert (private.library, private.songs) == ("own", 12)
    assert private.clips == ClipSet.open(finished / "data" / "clips").digest
    assert private.manifest == json.loads((finished / "metrics" / "manifest.json").read_text())["digest"]


def test_the_environment_names_versions_and_no_machine(finished: Path, published: Path) -> None:
    known = layout.read(published / layout.ENVIRONMENT, layout.Environment)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=finished, text=True).strip()
    assert (known.commit, known.changed_files) == (head, ())
    installed = subprocess.check_output([sys.executable, "-m", "pip", "freeze"], text=True).splitlines()
    frozen = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower(): line.split("==")[1] for line in installed}
    assert known.packages.items() >= frozen.items()
    (group,) = known.trained_on
    assert group.attempts == tuple(journal.read(training(finished) / journal.NAME).attempts)
    assert group.machine.versions["torch"] == known.packages["torch"]
    assert (group.machine.device, group.machine.commit) == ("cpu", head)
    assert any("built with" in line for line in known.torch_build)


def test_the_source_is_what_git_has_of_the_commit(finished: Path, published: Path) -> None:
    tracked = subprocess.check_output(["git", "ls-files"], cwd=finished, text=True).splitlines()
    with tarfile.open(published / layout.SOURCE) as archive:
        members = {item.name: archive.extractfile(item) for item in archive if item.isfile()}
        assert members.keys() == {f"source/{name}" for name in tracked}
        file = members["source/src/bundle/layout.py"]
        assert file is not None
        assert file.read() == (ROOT / "src" / "bundle" / "layout.py").read_bytes()


def test_the_same_study_elsewhere_gives_the_same_bytes(published: Path, study: Path) -> None:
    bundle(study)
    assert listed(study / "bundle") == listed(published)
    assert (study / "bundle.zip").read_bytes() == published.with_name("bundle.zip").read_bytes()


def test_a_signature_covers_every_file(published: Path, study: Path, keys: Path) -> None:
    (study / "src" / "odd.py").write_text("# not committed\n")
    said = bundle(study, "--key", str(keys / "private.pem"))
    folder = study / "bundle"
    assert ", signed." in said
    assert layout.read(folder / layout.ENVIRONMENT, layout.Environment).changed_files == ("src/odd.py",)
    differs = {name for name, content in listed(folder).items() if content != listed(published).get(name)}
    assert differs == {layout.PAGE, layout.CRATE, layout.DIGESTS, layout.SIGNATURE, layout.ENVIRONMENT}
    assert "Signed" in (folder / layout.PAGE).read_text()
    assert verified(folder, keys / "public.pem")
    shutil.copy(keys / "public.pem", study)  # and by the command that the page names
    programs = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(page.CHECK_SIGNATURE.split(), cwd=folder, env=programs, check=True, capture_output=True)
    assert b"PRIVATE KEY" not in b"".join(listed(folder).values()).replace(listed(folder)[layout.SOURCE], b"")

    other = keys / "other.pem"
    subprocess.run(f"openssl ecparam -name prime256v1 -genkey -noout -out {other}".split(), check=True)
    subprocess.run(f"openssl ec -in {other} -pubout -out {keys / 'other-public.pem'}".split(), check=True)
    assert not verified(folder, keys / "other-public.pem")
    (folder / "added.txt").write_text("?")
    assert not verified(folder, keys / "public.pem")
    (folder / "added.txt").unlink()
    weights = folder / "checkpoints" / "step-30" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert not verified(folder, keys / "public.pem")


def verified(folder: Path, public: Path) -> bool:
    program = Path(sys.executable).parent / "model_signing"
    options = ["--signature", layout.SIGNATURE, "--public_key", str(public)]
    done = subprocess.run([program, "verify", "key", ".", *options], cwd=folder, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode == 0


def test_a_key_that_cannot_sign_is_named(study: Path, keys: Path) -> None:
    (study / "ed25519.pem").write_bytes(subprocess.check_output(["openssl", "genpkey", "-algorithm", "ed25519"]))
    for key in ("ed25519.pem", "params.yaml", str(keys / "public.pem")):
        assert "is not a private key on the curve P-256" in refusal(study, "--key", key)
    assert refusal(study, "--key", "no.pem").startswith("There is no key no.pem. Make one with: openssl")


def test_planted_names_are_found_however_they_are_written(study: Path) -> None:
    song, artist = f"{PLANT}Song rock 1", f"{PLANT}Artist3"
    checkpoint = study / "checkpoints" / "step-2"
    planted = {
        "reports/compare-2-10-30/notes.html": f"<p>{html.escape(song)}&#32;</p>".replace("Song ", "Song&#32;").encode(),
        "reports/compare-2-10-30/link.txt": f"songs/{quote(song + '.flac')}".encode(),
        "generations/step-10/upper.csv": artist.upper().encode(),
        "generations/step-10/le.bin": bytes(3) + artist.encode("utf-16-le") + bytes(5),
        "generations/step-10/be.bin": bytes(2) + artist.encode("utf-16-be"),
        "generations/step-10/other.json": "".join(f"\\u{ord(letter):04x}" for letter in artist).encode(),
        "generations/step-2/rock.zip": zipped({"inner.tar.gz": tarred({"readme": song.encode()})}),
        f"generations/step-2/{PLANT}Album 2.txt": b"its name",
    }
    for name, content in planted.items():
        (study / name).parent.mkdir(parents=True, exist_ok=True)
        (study / name).write_bytes(content)
    tensors = {"a": np.zeros(3, np.float32)}
    safetensors.numpy.save_file(tensors, checkpoint / "extra.safetensors", metadata={"from": f'"{song}"'})
    np.savez(study / "generations" / "step-10" / "extra.npz", names=np.array([song]))
    rows = (study / "data" / "manifest.csv").read_text().splitlines()
    (study / "generations" / "step-10" / "hash.txt").write_text(rows[5].split(",")[-1])
    change_yaml(study / "params" / "tiny.yaml", library__songs_per_genre=3)
    with (study / "params" / "tiny.yaml").open("a") as file:
        file.write(f"# {study}\n")
    sentence = refusal(study)
    assert sentence.startswith("Not published: ")
    assert PLANT.lower() not in sentence.lower()
    assert "data/bundle-findings.txt" in sentence
    assert not (study / "bundle").exists()
    lines = (study / "data" / "bundle-findings.txt").read_text().splitlines()
    found = {line.split("\t")[0].split(": ")[0] for line in lines}
    assert found == {
        *planted,
        "checkpoints/step-2/extra.safetensors",
        "generations/step-10/extra.npz",
        "generations/step-10/hash.txt",
        "params/tiny.yaml",
        layout.DIGESTS,  # it lists the file whose name is planted
        layout.CRATE,
    }
    kinds = {line.split("\t")[1] for line in lines}
    assert kinds >= {"the name of a song's file", "the hash of a single song", "a path of this machine"}


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue())


def test_a_name_in_the_source_is_found_too_and_may_be_allowed(study: Path) -> None:
    (study / "docs" / "mine.md").write_text(f"My favourite is {PLANT}Artist0.\n")
    subprocess.run(["git", "add", "docs/mine.md"], cwd=study, check=True)
    user = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *user, "commit", "-qm", "mine"], cwd=study, check=True)
    assert "source.tar.gz: source/docs/mine.md has the name of a folder of the library" in refusal(study)
    (study / "data" / "allowed.txt").write_text(f"{PLANT}Artist0\n")
    bundle(study, "--allow", "data/allowed.txt")
    assert not (study / "data" / "bundle-findings.txt").exists()


def test_the_host_of_an_older_journal_is_found(study: Path) -> None:
    path = training(study) / journal.NAME
    first, *rest = path.read_text().splitlines(keepends=True)
    record = {key: value for key, value in json.loads(first).items() if key not in ("format", "chain")}
    older = [json.dumps({**record, "host": "my-laptop"}) + "\n"]
    older += [json.dumps({k: v for k, v in json.loads(line).items() if k != "chain"}) + "\n" for line in rest]
    path.write_text("".join(older))
    assert "journal.jsonl has the name of a machine" in refusal(study)
    assert "my-laptop" in (study / "data" / "bundle-findings.txt").read_text()


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        (
            "generations/step-10",
            "generate has not run: generations/step-10/generation.json is not there; run: dvc repro",
        ),
        ("metrics/evaluate.json", "evaluate has not run: metrics/evaluate.json is not there; run: dvc repro"),
        ("reports", "compare has not run: reports/compare-2-10-30/comparison.json is not there; run: dvc repro"),
        ("work", "train has not run here: work/train/"),
        ("data/manifest.csv", "manifest has not run: data/manifest.csv is not there; run: dvc repro"),
        ("dvc.lock", "dvc repro has not run: dvc.lock is not there; run: dvc repro"),
        (".git", "This folder is not a git checkout with a commit"),
    ],
)
def test_what_is_missing_is_named(study: Path, gone: str, sentence: str) -> None:
    shutil.rmtree(study / gone) if (study / gone).is_dir() else (study / gone).unlink()
    assert refusal(study).startswith(sentence)
    assert not (study / "bundle").exists()


def test_parts_of_several_runs_and_of_another_library_are_refused(study: Path) -> None:
    about = study / "generations" / "step-10" / generations.NAME
    before = about.read_text()
    about.write_text(before.replace(training(study).name, "0123456789abcdef"))
    assert refusal(study).startswith("generations/step-10 is of the run 0123456789abcdef, and checkpoints/step-2 of ")
    about.write_text(before)
    rows = (study / "data" / "manifest.csv").read_text().splitlines(keepends=True)
    (study / "data" / "manifest.csv").write_text("".join(rows[:-1]))
    assert refusal(study).startswith("data/manifest.csv is not the one that the clips were made from (dvc.lock)")


def test_a_damaged_journal_or_checkpoint_is_not_published(study: Path) -> None:
    weights = study / "checkpoints" / "step-10" / "weights.safetensors"
    good = weights.read_bytes()
    weights.unlink()  # DVC may have linked it to its cache
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert "step-10/weights.safetensors is damaged" in refusal(study)
    weights.write_bytes(good)
    path = training(study) / journal.NAME
    path.write_text(path.read_text().replace('"loss": ', '"loss": 1', 1))
    assert "journal.jsonl is damaged" in refusal(study)


def test_own_music_is_not_published(study: Path) -> None:
    song = study / "reports" / "compare-2-10-30" / "audio" / "song-0-rock.mp3"
    song.write_bytes(b"music")
    assert "has held-out songs that can be heard" in refusal(study)
    song.unlink()
    about = study / "generations" / "step-2" / generations.NAME
    about.write_text(about.read_text().replace('"primer_frames": 0', '"primer_frames": 100', 1))
    assert refusal(study).startswith("The clips in generations/step-2 begin with a stretch of a song of yours")


def test_more_checkpoints_if_asked(study: Path) -> None:
    bundle(study, "--all-checkpoints", "--out", "all")
    run = training(study)
    kept = {path.name for path in (run / "checkpoints").glob("step-*")}
    assert len(kept) > len(STEPS)
    assert {path.name for path in (study / "all" / run.relative_to(study) / "checkpoints").iterdir()} == kept
    assert f"{len(kept)} more checkpoints" in (study / "all" / layout.PAGE).read_text()


def test_what_is_not_a_bundle_is_not_replaced(study: Path) -> None:
    (study / "mine").mkdir()
    (study / "mine" / "letter.txt").write_text("dear")
    assert "is a folder with other things in it" in refusal(study, "--out", "mine")
    (study / "mine" / layout.DIGESTS).write_text("{}\n")
    bundle_of_mine = refusal(study, "--out", "mine")
    assert "mine/digests.json is damaged" in bundle_of_mine
    assert (study / "mine" / "letter.txt").read_text() == "dear"
    (study / "bundle").write_text("a file")
    assert "bundle is not a folder" in refusal(study)
    (study / "other.zip").write_bytes(zipped({"letter.txt": b"dear"}))
    assert "other.zip is not a bundle" in refusal(study, "--out", "other")
    assert ". is the folder of the study" in refusal(study, "--out", ".")
    assert ".. is the folder of the study" in refusal(study, "--out", "..")


def test_killed_it_leaves_no_bundle_and_the_next_one_clears_up(study: Path) -> None:
    dies = "import os, runpy, zipfile; zipfile.ZipFile = lambda *_: os.kill(os.getpid(), 9); "
    dies += "runpy.run_module('src.bundle', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", dies], cwd=study, env=os.environ | {"PYTHONPATH": str(study)})
    assert done.returncode == -signal.SIGKILL
    assert not (study / "bundle").exists()
    assert not (study / "bundle.zip").exists()
    assert list(study.glob(".bundle.*.tmp"))
    bundle(study)
    bundle(study)  # it replaces its own
    assert sorted(path.name for path in study.glob("*bundle*")) == ["bundle", "bundle.zip"]
    assert not list(study.glob(".bundle*"))
