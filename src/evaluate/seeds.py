"""The same training with other seeds: how much of what is measured is the luck of one.

In: metrics/evaluate.json, and that of each run under work/runs/seed-N/ (`make seeds` trains, generates and measures
them). Out: metrics/seeds.json, and a table.

    python -m src.evaluate.seeds
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError
from rich.table import Table

from src.base import console, files
from src.base.errors import Problem
from src.evaluate import catalogue, schema
from src.evaluate.measure import STRICT, Count, Text
from src.evaluate.schema import ALL, BITS, ByStep, Evaluation, Number
from src.record import checkpoint, layout
from src.record.layout import RunFiles

FILE = "seeds.json"
MADE_BY = "make seeds"
BITS_LABEL = "Bits less the linear predictor's"

app = console.command_app("Say how much of what is measured is the luck of a training's seed.")


class SeedRow(BaseModel):
    """A measure at the last compared step over the seeds, all genres together."""

    model_config = STRICT

    measure: Text
    """Bits per sample (less the linear predictor's, over all songs), or a measure of the sound (mean over genres)."""
    unit: Text
    values: tuple[Number, ...] = Field(strict=False)
    """One for each seed."""
    mean: Number
    spread: Number
    """Standard deviation over the seeds."""
    changes: ByStep[Number]
    """Earlier step → the last step's value less that step's, mean over the seeds."""

    def in_spreads(self, step: int) -> float | None:
        """The change since a step as a multiple of the spread; None without a spread."""
        change = self.changes.get(step)
        return None if change is None or self.spread == 0 else abs(change) / self.spread


class Seeds(BaseModel):
    """The content of metrics/seeds.json."""

    model_config = STRICT

    format: Count = 1
    fingerprints: tuple[Text, ...] = Field(strict=False)
    """Of the runs; the study's own comes first."""
    step: Count
    """The last one that all of them have."""
    rows: tuple[SeedRow, ...] = Field(strict=False)

    def row(self, name: str) -> SeedRow | None:
        """A measure's row."""
        return next((row for row in self.rows if row.measure == name), None)


def collect(runs: Mapping[str, Evaluation]) -> Seeds:
    """The table of the runs: fingerprint → what was measured. Steps and measures count that all of them have."""
    steps = sorted(set.intersection(*(set(evaluation.steps) for evaluation in runs.values())))
    rows: list[SeedRow] = []
    for name in catalogue.BY_NAME if steps else ():
        table = {step: [_value(each, step, name) for each in runs.values()] for step in steps}
        known = {step: [v for v in row if v is not None] for step, row in table.items() if None not in row}
        if steps[-1] not in known:
            continue
        last = known.pop(steps[-1])
        rows.append(
            SeedRow(
                measure=name,
                unit="bits" if name == BITS else catalogue.UNITS[name],
                values=tuple(last),
                mean=statistics.mean(last),
                spread=statistics.stdev(last),
                changes={
                    step: statistics.mean(after - before for before, after in zip(row, last, strict=True))
                    for step, row in known.items()
                },
            )
        )
    return Seeds(fingerprints=tuple(runs), step=steps[-1] if steps else 0, rows=tuple(rows))


def _value(evaluation: Evaluation, step: int, name: str) -> float | None:
    if name == BITS:
        against = evaluation.against.get(step, {}).get("linear", {}).get(ALL)
        return against.difference.value if against else None
    measures = [evaluation.of(step, genre, name) for genre in evaluation.genres]
    values = [measure.value for measure in measures if measure is not None and measure.value is not None]
    return statistics.mean(values) if values and len(values) == len(measures) else None


def read(folder: Path, fingerprint: str) -> Seeds | None:
    """The table in a folder of metrics; None if there is none, or if it is of another study's runs.

    Raises `Problem` if it cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        found = Seeds.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise Problem(f"{path} cannot be read. Make it again with: {MADE_BY}") from error
    return found if found.fingerprints[:1] == (fingerprint,) else None


def shown(found: Seeds) -> Table:
    """The table for a terminal."""
    count = len(found.fingerprints)
    table = Table(title=f"Step {found.step:,} over {count} training seeds, and its change in units of their spread")
    table.add_column("measure")
    steps = sorted({step for row in found.rows for step in row.changes})
    for name in ("mean", "spread", *(f"since {step:,}" for step in steps)):
        table.add_column(name, justify="right")
    for row in found.rows:
        label = BITS_LABEL if row.measure == BITS else catalogue.BY_NAME[row.measure].label
        multiples = [row.in_spreads(step) for step in steps]
        cells = ["–" if multiple is None else f"{multiple:.1f}" for multiple in multiples]
        table.add_row(label, f"{row.mean:.4g} {row.unit}", f"{row.spread:.2g}", *cells)
    return table


def runs_of(places: Sequence[RunFiles]) -> dict[str, Evaluation]:
    """Fingerprint → what was measured of the run. Raises `Problem` if one was not measured."""
    return {
        checkpoint.about(place.checkpoint(checkpoint.steps(place.checkpoints)[-1])).fingerprint: schema.read(
            place.metrics / "evaluate.json"
        )
        for place in places
        if checkpoint.steps(place.checkpoints)
    }


@app.command()
def main() -> None:
    """Compare the study's training with those of other seeds, which `make seeds` makes."""
    runs = runs_of([layout.current(), *layout.seeded()])
    if len(runs) < 2:
        raise Problem(f"There is no training with another seed. Make some with: {MADE_BY}")
    found = collect(runs)
    path = layout.current().metrics / FILE
    files.write_json(path, found.model_dump(mode="json"))
    console.show(shown(found))
    console.say(f"The table: {path}")


if __name__ == "__main__":
    console.run(app)
