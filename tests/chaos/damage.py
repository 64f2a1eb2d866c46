"""Checkpoints that are damaged, cut, swapped or malicious when the training comes back to them."""

import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from src.config import step_name
from src.record import checkpoint
from tests.chaos.harness import Chaos, Outcome
from tests.processes import kill_family, sabotaged, step_lines, training_folder, wait_for_step
from tests.record.test_checkpoint import forge, header, sign

EXPLODED = "exploded"


class Bomb:
    """Creates a file where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path(EXPLODED),))  # type: ignore[return-value]


def _change_byte(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x20
    path.write_bytes(content)


def _cut(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


WEIGHTS, OPTIMIZER, ABOUT = checkpoint.WEIGHTS, checkpoint.OPTIMIZER, checkpoint.ABOUT

DAMAGES: dict[str, Callable[[Path], object]] = {
    "a tensor's last byte": lambda folder: _change_byte(folder / WEIGHTS, -1),
    "pickle, signed": lambda folder: forge(folder, WEIGHTS, pickle.dumps(Bomb())),
    "description missing": lambda folder: (folder / ABOUT).unlink(),
    "optimizer cut": lambda folder: _cut(folder / OPTIMIZER, 0.5),
    "path traversal, signed": lambda folder: sign(folder, {"genres": ["../../a", "b", "c", "d", "e"]}),
    "weights' header": lambda folder: _change_byte(folder / WEIGHTS, 3),
    "weights missing": lambda folder: (folder / WEIGHTS).unlink(),
    "absurd shape, signed": lambda folder: forge(
        folder, WEIGHTS, header(weight={"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 2**62]})
    ),
    "another run's": lambda folder: sign(folder, {"fingerprint": "f" * 16}),
    "description cut": lambda folder: _cut(folder / ABOUT, 0.7),
    "description's digit": lambda folder: _change_byte(folder / ABOUT, -20),
    "optimizer pickle, signed": lambda folder: forge(folder, OPTIMIZER, pickle.dumps(Bomb())),
    "tensor names in JSON": lambda folder: _change_byte(folder / WEIGHTS, 20),
    "optimizer missing": lambda folder: (folder / OPTIMIZER).unlink(),
    "empty folder": _empty,
    "another step's": lambda folder: sign(folder, {"step": 1}),
    "a pipe": lambda folder: _pipe(folder / WEIGHTS),
    "JSON of another kind": lambda folder: (folder / ABOUT).write_text(json.dumps(["step", 20])),
}


def at_every_restart(chaos: Chaos) -> Outcome:
    """The newest checkpoint is damaged in another way whenever the training comes back."""
    study = chaos.study("damage")
    kinds = list(DAMAGES.items())[: None if chaos.thorough else 6]
    problems: list[str] = []
    for number, (kind, damage) in enumerate(kinds):
        process = study.start("src.train", **sabotaged(slow_s=0.002))
        wait_for_step(study, 45 + 12 * number)
        kill_family(process.pid)
        process.communicate()
        kept = training_folder(study) / "checkpoints"
        newest = checkpoint.steps(kept)[-1]
        damage(kept / step_name(newest))
        before = step_lines(study)
        process = study.start("src.train", **sabotaged(slow_s=0.002))
        while process.poll() is None and step_lines(study) == before:
            time.sleep(0.01)
        kill_family(process.pid)
        printed, _ = process.communicate()
        # A compared step's checkpoint must come back; another one is only passed over.
        said = "It is made again" if newest in chaos.compared else "Going back to the one before it"
        if step_name(newest) not in printed or said not in printed:
            problems.append(f"{kind}: not said: {printed.strip()[-300:]}")
        if "Traceback" in printed:
            problems.append(f"{kind}: a traceback")
        if list(study.root.rglob(EXPLODED)):
            problems.append(f"{kind}: code in a checkpoint was run")
    chaos.finish(study)
    happened = f"{len(kinds)} kinds: {', '.join(kind for kind, _ in kinds)}"
    return Outcome("the newest checkpoint damaged or forged", happened, problems + chaos.differences(study))
