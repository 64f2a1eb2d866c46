"""The tables of docs/formats.md, written from the schemas.

python -m tests.formats     # writes them anew
"""

import ast
import inspect
import textwrap
from pathlib import Path
from typing import Any

from src.bundle import layout as bundle
from src.evaluate import measure, schema, seeds
from src.generate import generations
from src.record import checkpoint, layout, runs

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
BEGIN = "<!-- written by python -m tests.formats -->\n"
FILES: dict[str, tuple[type[Any], ...]] = {
    "checkpoint.json": (checkpoint.About,),
    "generation.json": (generations.Generation, generations.GeneratedClip, generations.Source),
    "metrics/evaluate.json": (
        schema.Evaluation,
        measure.Measure,
        schema.SongBits,
        schema.Difference,
        schema.Closed,
        schema.Conditioning,
        schema.Generalisation,
        schema.Calibration,
        schema.CalibrationBin,
        schema.ContextRange,
        schema.Copying,
        schema.Detection,
        schema.Found,
        schema.Agreement,
        schema.Change,
    ),
    "metrics/seeds.json": (seeds.Seeds, seeds.SeedRow),
    "run.json of a trained run": (runs.Trained,),
    "about.json of an imported run": (layout.ImportedRun,),
    "digests.json of a bundle": (bundle.Digests, bundle.FileDigest),
    "private.json of a bundle": (bundle.Private,),
    "environment.json of a bundle": (bundle.Environment, bundle.Machine, bundle.Trained),
}


def tables() -> str:
    """A table of the fields of each file's schemas."""
    return "".join(
        f"\n### Fields of {name}\n"
        + "".join(f"\n{inspect.getdoc(model)}\n\n| field | type | |\n|---|---|---|\n{_rows(model)}" for model in models)
        for name, models in FILES.items()
    )


def _rows(model: type[Any]) -> str:
    """One row a field, as the class declares it: name in the file, type, and the text below it."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    fields = getattr(model, "model_fields", {})
    rows = []
    for item, after in zip(body.body, [*body.body[1:], None], strict=True):
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        name = item.target.id
        if name.startswith("__"):
            continue
        alias = fields[name].alias if name in fields else None
        kind = ast.unparse(item.annotation).replace("|", "or")
        said = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            said = " ".join(str(after.value.value).split())
        rows.append(f"| `{alias or name}` | `{kind}` | {said} |\n")
    return "".join(rows)


def main() -> None:
    """Write the tables into the page."""
    text, _, _ = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(text.rstrip() + "\n\n" + BEGIN + tables(), encoding="utf-8")


if __name__ == "__main__":
    main()
