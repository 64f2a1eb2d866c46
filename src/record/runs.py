"""Every run of this machine, and the one that a name means.

In: work/train/ (with run.json, which says what a run was trained with), work/runs/, checkpoints/. Out: `RunFiles`.
A run may be named as `python -m src.status` lists it: `current`, an imported one or seed-2020 by its name, any that was
trained here by the beginning of its fingerprint or of its id in MLflow, an experiment also by DVC's name for it.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from src.base import files
from src.base.console import plural
from src.base.errors import Problem
from src.config import Params
from src.record import browsing, journal, layout, shipping
from src.record.layout import RunFiles

ABOUT = "run.json"
EXPERIMENT = "DVC_EXP_NAME"
"""Where DVC says which experiment a stage is run for."""
DECIDES = ("seed", "genres", "model.", "train.")
"""Beginnings of the parameters that are a training's."""
FEWEST_DIGITS = 4
"""So much of a fingerprint or an id names a run."""


class Trained(BaseModel):
    """What run.json says: what decides a training's numbers. Its fingerprint is a hash over it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    experiment: str | None = None
    """DVC's name for the experiment that last trained it; None if none did."""
    clips: str
    """One digest over the whole clip set."""
    code: str
    """Digest of the code that decides a step."""
    songs: dict[str, int] = {}
    """Clips of each genre."""
    params: Params

    def differences(self, other: "Trained") -> list[str]:
        """What is not as in `other`: "lr 0.004", "3 genres", "6 songs", "other clips"."""
        said = browsing.differences(self.params, other.params)
        if self.clips != other.clips:
            songs = sum(self.songs.values())
            same_number = songs in (0, sum(other.songs.values()))  # 0: written before they were counted
            said.append("other clips" if same_number else plural(songs, "song"))
        return said + (["other code"] if self.code != other.code else [])


def write(folder: Path, trained: Trained) -> None:
    """Write run.json of the run in this folder, unless it says the same already: the disk may be full."""
    known = about(folder)
    experiment = os.environ.get(EXPERIMENT) or (known.experiment if known else None)
    new = trained.model_copy(update={"experiment": experiment})
    if new != known:
        files.write_json(folder / ABOUT, new.model_dump(mode="json", by_alias=True))


def about(folder: Path) -> Trained | None:
    """What a run was trained with; None if it is older than run.json or another version wrote that."""
    try:
        return Trained.model_validate_json((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def trained(folder: Path) -> RunFiles:
    """Files of a run in work/train/<fingerprint>/: what was generated and measured of it stands there too."""
    return RunFiles(
        name=folder.name,
        checkpoints=folder / "checkpoints",
        generations=folder / "generations",
        metrics=folder / "metrics",
        training=folder,
    )


def trained_with(run: RunFiles, params: Params) -> Params | None:
    """The parameters with which a run was trained here; None for an imported one. params: of the study."""
    if run.other and run.training is not None:
        known = about(run.training)
        return known.params if known else params
    return layout.trained_with(run.name, params)


def every(root: Path = Path()) -> Iterator[RunFiles]:
    """All runs, the study's own first; one in work/train/ that has no other name has its fingerprint."""
    beside = sorted(path.name for path in (root / layout.IMPORTED).glob("*") if path.is_dir())
    titled = [
        layout.current(root),
        *(layout.imported(name, root) for name in beside if re.fullmatch(layout.NAME, name)),
    ]
    yield from titled
    taken = {run.training for run in titled if not run.passing}
    for folder in sorted((root / layout.TRAINING).glob("*")):
        if folder not in taken and (folder / journal.NAME).is_file():
            yield trained(folder)


def named(name: str | None, root: Path = Path()) -> RunFiles:
    """The run that a name means; None: the study's own. Raises `Problem` naming those that exist."""
    known = list(every(root))
    found = [run for run in known if run.name == (name or "current")]
    found = found or [
        run for run in known if run.training is not None and not run.passing and _means(str(name), run.training)
    ]
    if len(found) == 1:
        return found[0]
    which = ", ".join(run.name for run in (found or known))
    if found:
        raise Problem(f"{name!r} may mean several runs: {which}. Name one of them.")
    raise Problem(
        f"There is no run {name!r} here. There are: {which} (`python -m src.status` says more). "
        "One from elsewhere is imported with: python -m src.legacy DIR"
    )


def _means(name: str, folder: Path) -> bool:
    ids = [folder.name, shipping.run_id_of(folder) or ""]
    if len(name) >= FEWEST_DIGITS and any(each.startswith(name) for each in ids):
        return True
    known = about(folder)
    return known is not None and known.experiment == name
