"""A small study that really was trained, generated, measured and compared, and a bundle of it."""

import json
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from src import config
from src.audit import origin, pipeline
from src.base import files
from src.bundle import environment, layout, signing
from src.clips.clipset import ClipSet
from src.compare import gathering, page
from src.compare.__main__ import command_line
from src.config import step_name
from src.evaluate import __main__ as measuring
from src.evaluate import result, schema
from src.evaluate.evaluation import evaluate
from src.generate import clips
from src.record import checkpoint
from src.record import layout as places
from src.train import __main__ as training
from src.train.attempt import train
from src.train.run import Run
from src.train.workers import Workers
from tests.conftest import GENRES, ROOT, StudyFolder, made_once, make_study, write_clips

BUNDLED = ("params.yaml", "params", "dvc.yaml", "dvc.lock", "checkpoints", "generations", "metrics", "reports")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A finished study in a checkout; its tests copy it before they change it."""

    def make(folder: Path) -> None:
        study = make_study(folder / "study")
        study.change("params/tiny.yaml", train__keep_for_audit=3)
        write_clips(study.root / "data" / "clips", clips_per_genre=3, duration_s=3.0)
        with chdir(study.root):
            _run_stages(config.load())
            shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
            write_lock(study.root)

    return StudyFolder(made_once(tmp_path_factory, "audited", make) / "study")


def _run_stages(params: config.Params) -> None:
    """What `dvc repro` runs, in one process."""
    run = Run.open(params)
    run.folder.mkdir(parents=True)
    training.prepare(run)
    train(run, 1, False, Workers(0, 1))
    training.publish(run, beside=False)
    training.connect(run).ship()
    for step in params.compared_steps:
        folder = Path("generations") / step_name(step)
        folder.mkdir(parents=True)
        loaded = checkpoint.load(Path("checkpoints") / step_name(step))
        clips.generate([folder], [loaded], params, clips.streams_of(params, params.genres))
    counts = {genre: {"train": 2, "validation": 1} for genre in GENRES}
    digest = ClipSet.open(Path("data/clips")).digest
    files.write_json(Path("metrics/clips.json"), {"digest": digest, "genres": counts})
    files.write_json(Path("metrics/manifest.json"), {"digest": "d" * 64, "genres": dict.fromkeys(GENRES, 3)})
    files.write_json(
        Path("metrics/evaluate.json"), result.report(evaluate(places.current(), params, own=True)).to_json()
    )
    measuring.log(places.current(), params, schema.read(Path("metrics/evaluate.json")))
    compared = gathering.gather([places.current()], params.compared_steps, params.genres)
    folder = Path("reports") / "-".join(["compare", *map(str, params.compared_steps)])
    command = command_line([places.current()], params.compared_steps)
    page.write(folder, compared, made="2026-11-27T12:00:00+00:00", command=command, listening=None)


def write_lock(root: Path) -> None:
    """dvc.lock as DVC writes it, for the stages whose outputs are here."""
    declared: dict[str, Any] = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    study = yaml.safe_load((root / "params.yaml").read_text())
    scale = yaml.safe_load((root / "params" / "tiny.yaml").read_text())
    stages: dict[str, Any] = {}
    archive = root / "source.tar.gz"  # what is committed: a test may run while the code is being changed
    archive.write_bytes(environment.archive(ROOT, "HEAD"))
    sources = origin._archive(archive)
    archive.unlink()
    for name in ("train", "generate", "evaluate"):
        said = declared[name]

        def filled(item: Any) -> str:
            text = next(iter(item)) if isinstance(item, dict) else item
            return str(text).replace("${profile}", "tiny")

        def known(items: list[Any]) -> list[dict[str, str]]:
            found = []
            for path in map(filled, items):
                md5 = pipeline._md5_of(sources, path) if path.startswith("src/") else pipeline._md5(root / path)
                found.append({"path": path, "hash": "md5", "md5": str(md5)})
            return found

        values: dict[str, dict[str, Any]] = {"params.yaml": {}}
        for key in said["params"]:
            if isinstance(key, str):
                values["params.yaml"][key] = study.get(key)
            else:
                ((file, sections),) = key.items()
                values[filled(file)] = {section: scale[section] for section in sections}
        stages[name] = {
            "cmd": filled(said["cmd"]),
            "deps": known(said["deps"]),
            "params": values,
            "outs": known([*said.get("outs", []), *said.get("metrics", [])]),
        }
    apart = json.loads(json.dumps({"schema": "2.0", "stages": stages}))  # no value refers to another one
    (root / "dvc.lock").write_text(yaml.safe_dump(apart, sort_keys=False))


@pytest.fixture(scope="session")
def published(finished: StudyFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unsigned bundle of the study, with the checkpoints of the training that are kept for audits."""
    root = tmp_path_factory.mktemp("published") / "bundle"
    root.mkdir()
    for name in BUNDLED:
        source = finished.root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
    run = places.current(finished.root)
    assert run.training is not None
    assert run.journal is not None
    target = root / run.training.relative_to(finished.root)
    shutil.copytree(run.training / "checkpoints", target / "checkpoints")
    shutil.copytree(run.training / "times", target / "times") if (run.training / "times").is_dir() else None
    shutil.copy(run.journal, target)
    digest = ClipSet.open(finished.root / "data" / "clips").digest
    layout.write(root / layout.PRIVATE, layout.Private(library="own", songs=15, manifest="d" * 64, clips=digest))
    params = config.load(finished.root)
    view = places.current(finished.root)
    assert view.journal is not None
    from src.record import journal

    environment.write(root, ROOT, environment.describe(ROOT, journal.read(view.journal)))
    assert params.compared_steps == (2, 10, 30)
    seal(root)
    return root


def seal(root: Path) -> None:
    """Write digests.json anew, as its maker or a forger would."""
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    digests = {
        name: layout.FileDigest(sha256=files.sha256_of(root / name), bytes=(root / name).stat().st_size)
        for name in names
        if name not in layout.NOT_IN_DIGESTS
    }
    layout.write(root / layout.DIGESTS, layout.Digests(files=digests))


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two pairs of keys: the owner's and another one's."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("owner", "other"):
        private = ec.generate_private_key(ec.SECP256R1())
        (folder / f"{name}.pem").write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / f"{name}.pub").write_bytes(
            private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def checkout(finished: StudyFolder, tmp_path: Path) -> Path:
    """A copy of the study to change."""
    return Path(shutil.copytree(finished.root, tmp_path / "study"))


@pytest.fixture
def bundle(published: Path, tmp_path: Path) -> Path:
    """A copy of the bundle to change."""
    return Path(shutil.copytree(published, tmp_path / "bundle"))


@pytest.fixture
def signed(bundle: Path, keys: dict[str, Path]) -> Path:
    """A copy of the bundle, signed by its owner."""
    signing.sign(bundle, keys["owner.pem"])
    return bundle
