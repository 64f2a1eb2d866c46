"""What a forger does, who knows our formats as well as we do and computes every digest anew."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from src.base import files
from src.config import step_name
from src.generate import generations
from src.record import checkpoint, journal
from src.record.checkpoint import Checkpoint

Record = dict[str, Any]


def journal_of(root: Path) -> Path:
    (path,) = (root / "work" / "train").glob(f"*/{journal.NAME}")
    return path


def rewrite(root: Path, change: Callable[[list[Record]], list[Record]]) -> None:
    """Change the journal's records and chain them anew."""
    path = journal_of(root)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    before, lines = "", []
    for record in change(records):
        content = json.dumps(
            {key: value for key, value in record.items() if key != "chain"}, ensure_ascii=False
        ).encode()
        before = journal.link(before, content[:-1])
        lines.append(content[:-1] + f', "chain": "{before}"}}\n'.encode())
    path.write_bytes(b"".join(lines))


def with_loss(step: int, loss: float) -> Callable[[list[Record]], list[Record]]:
    """The change of one loss."""

    def change(records: list[Record]) -> list[Record]:
        return [
            record | {"loss": loss} if record["kind"] == "step" and record["step"] == step else record
            for record in records
        ]

    return change


def folders(root: Path, step: int) -> list[Path]:
    """Where a bundle has the checkpoint of a step: among the compared ones, with the run, or both."""
    inner = journal_of(root).parent / "checkpoints"
    return [folder for top in (root / "checkpoints", inner) if (folder := top / step_name(step)).is_dir()]


def replace_checkpoint(root: Path, step: int, change: Callable[[Checkpoint], Checkpoint]) -> None:
    """Put another checkpoint in the place of one, whole and with digests of its own."""
    for folder in folders(root, step):
        forged = change(checkpoint.load(folder))
        files.remove(folder)
        checkpoint.save(folder, forged)


def cover_up(root: Path) -> None:
    """Make everything name everything as it is now: losses, lines of checkpoints, generations, measures, medians."""
    view = journal.read(journal_of(root))
    digests = dict(journal.ties(view))
    for step in checkpoint.steps(journal_of(root).parent / "checkpoints"):
        replace_checkpoint(root, step, lambda one: replace(one, losses=digests[one.step]))
    now = {step: checkpoint.digests_of(folders(root, step)[0]) for step in view.checkpoints}
    rewrite(
        root,
        lambda records: [
            record | {"sha256": now[record["step"]]} if record["kind"] == "checkpoint" else record for record in records
        ],
    )
    names = {
        step: checkpoint.about(folders(root, step)[0]).about_sha256 for step in checkpoint.steps(root / "checkpoints")
    }
    for step, digest in names.items():
        path = root / "generations" / step_name(step) / generations.NAME
        files.write_json(path, json.loads(path.read_text()) | {"checkpoint_sha256": digest})
    path = root / "metrics" / "evaluate.json"
    files.write_json(path, json.loads(path.read_text()) | {"checkpoints": {str(k): v for k, v in names.items()}})


def change_yaml_text(path: Path, before: str, after: str) -> None:
    """Change a value in place."""
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))
    yaml.safe_load(path.read_text())


def flip(path: Path, place: int) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
