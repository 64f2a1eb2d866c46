"""Did I reproduce it? This checkout's results beside the ones that its last commit published.

In: dvc.lock as git has it and as `dvc repro` left it, docs/demo-figures.json (what the published figures were, and on
which machine), metrics/summary.json. Out: a verdict of a few sentences; `make repro` ends with it.

    python -m src.reproduced
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from src import config
from src.base import console, provenance
from src.base.errors import Problem
from src.bundle import parts
from src.library import record
from src.record.tracking import flatten

app = console.command_app("Did I reproduce it? This checkout's results beside the ones that its last commit published.")

FIGURES = Path("docs", "demo-figures.json")
SUMMARY = Path("metrics", "summary.json")
DECIDES = ("processor", "python", "torch", "numba")
"""What another machine may have of its own, and the last digits with it."""

Stages = Mapping[str, Mapping[str, Any]]


@app.command()
def main() -> None:
    """Compare this checkout's results with the published ones."""
    root = Path()
    published = provenance.git(root, "show", "HEAD:dvc.lock")
    if not published:
        raise Problem("The last commit has no dvc.lock, so nothing was published that could be compared.")
    try:
        here = _stages((root / "dvc.lock").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem("There is no dvc.lock yet. Run first: make repro") from None
    order = list(yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    figures = json.loads((root / FIGURES).read_text(encoding="utf-8")) if (root / FIGURES).is_file() else None
    summary = json.loads((root / SUMMARY).read_text(encoding="utf-8")) if (root / SUMMARY).is_file() else None
    own = record.RECORD.is_file() and not record.is_demo()
    for sentence in verdict(_stages(published), here, order, figures, summary, provenance.describe(root), own=own):
        console.say(sentence)
    params = config.load()
    console.say(f"The page: {parts.report_folder(params.compared_steps)}/index.html. Every step in MLflow: make ui")


def verdict(
    published: Stages,
    here: Stages,
    order: list[str],
    figures: Mapping[str, Any] | None,
    summary: Mapping[str, Any] | None,
    machine: Mapping[str, str],
    *,
    own: bool = False,
) -> Iterator[str]:
    """The sentences. order: of the stages. figures: docs/demo-figures.json. summary: metrics/summary.json.

    own: the music is the user's own.
    """
    stages = [name for name in order if name in here]
    outs = {stage: _md5(here[stage], "outs") for stage in stages}
    known = {stage: _md5(published.get(stage, {}), "outs") for stage in stages}
    count = sum(len(paths) for paths in outs.values())
    same = sum(known[stage].get(path) == md5 for stage in stages for path, md5 in outs[stage].items())
    if count and same == count:
        yield f"Reproduced: all {count} outputs are bit for bit the published ones (dvc.lock of the last commit)."
        if any(here[stage] != published.get(stage) for stage in stages):
            yield "dvc.lock differs in code or parameters, which gave the same. To put it back: git checkout dvc.lock"
        return
    first = next((stage for stage in stages if outs[stage] != known[stage]), None)
    if first is None:
        raise Problem("dvc.lock holds no stage with outputs. Run first: make repro")
    made = {path for paths in outs.values() for path in paths}
    library = str(record.RECORD)
    if own and library in outs[first] and outs[first][library] != known[first].get(library):
        yield (
            "This study is of your own music, the last commit's of other songs: nothing is published that it could be "
            "compared with. A commit of dvc.lock keeps what it was made of, in digests and without a name; `dvc push` "
            "sends results to the storage that you name, and never the music (docs/team.md)."
        )
        return
    code = [
        path for path in _changed(_md5(published.get(first, {}), "deps"), _md5(here[first], "deps")) if path not in made
    ]
    values = _changed(flatten(published.get(first, {}).get("params", {})), flatten(here[first].get("params", {})))
    yield f"{same} of {count} outputs are bit for bit the published ones; from the stage {first} on they differ."
    if code or values:
        yield (
            f"It ran on others of these: {console.few([*code, *values])}. So this is another study; "
            "commit dvc.lock to publish it."
        )
        return
    there = figures["made_on"] if figures else {}
    other = [
        f"{name} {machine.get(name)} (published: {there[name]})"
        for name in DECIDES
        if name in there and there[name] != machine.get(name)
    ]
    yield (
        "Code, parameters and inputs are the same. What may have changed the last digits: "
        f"{console.listed(other) or 'no part that has a name; another processor of the same name, perhaps'}."
    )
    if figures and summary:
        yield from _apart(figures["figures"], summary)


def _apart(published: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """How far the figures are from the published ones."""
    ours = flatten(here)
    both = {name: (value, ours[name]) for name, value in flatten(published).items() if name in ours}
    bits = [abs(one - other) for name, (one, other) in both.items() if "bits" in name]
    shares = {
        name: abs(one - other) / abs(one)
        for name, (one, other) in both.items()
        if "bits" not in name and abs(one) > 1e-9
    }
    if bits and shares and all(map(math.isfinite, [*bits, *shares.values()])):
        name = max(shares, key=lambda key: shares[key])
        yield (
            f"Of {len(both)} figures, those in bits are at most {max(bits):.3f} from the published ones, the others at "
            f"most {shares[name]:.0%} ({name})."
        )


def _stages(text: str) -> Stages:
    read = yaml.safe_load(text)
    return dict(read["stages"]) if isinstance(read, dict) and isinstance(read.get("stages"), dict) else {}


def _md5(stage: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {str(item["path"]): str(item["md5"]) for item in stage.get(kind, [])}


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]


if __name__ == "__main__":
    console.run(app)
