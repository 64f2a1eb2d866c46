"""Break a training for real, in every way we know, and print a table of what it survived.

Each fault runs whole trainings in a folder of its own and compares checkpoints (byte for byte), losses, attempts and
what MLflow holds with a training that nothing disturbed.

    make chaos                                  (10 kills and a sample of every fault)
    make chaos KILLS=100 SCALE=demo ONLY=kills  (100 kills over one run of the demo's size)
    make chaos KILLS=1000 SCALE=long ONLY=kills
    make chaos THOROUGH=1                       (every variant of every fault)
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from src.base import console
from tests.chaos import circumstances, damage, disks, kills, machines, outages
from tests.chaos.harness import SCALES, Chaos, Outcome

Fault = Callable[[Chaos], Outcome]


def faults(count: int) -> dict[str, Fault]:
    """Name → fault; count: SIGKILLs at random moments."""
    return {
        "kills": lambda chaos: kills.at_random(chaos, count),
        "operations": kills.at_every_operation,
        "shipping": kills.while_shipping,
        "damage": damage.at_every_restart,
        "disk": disks.full_under_the_run,
        "mlflow-disk": disks.full_under_mlflow,
        "server": outages.server_killed,
        "server-gone": outages.server_gone,
        "silent": outages.silent,
        "locked": outages.database_locked,
        "asked": circumstances.asked_to_stop,
        "second": circumstances.started_twice,
        "supervisor": circumstances.supervisor_killed,
        "clock": circumstances.clock_and_name,
        "moved": circumstances.other_machine,
        "hopeless": circumstances.hopeless,
        "machines": machines.lost_and_found,
    }


def main(
    count: Annotated[int, typer.Option("--kills", min=1, help="SIGKILLs over one training.")] = 10,
    scale: Annotated[str, typer.Option(help=f"Of the trainings: {', '.join(SCALES)}.")] = "tiny",
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="A fault (may be repeated); all without it.")] = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Every variant of every fault, not a sample.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Keep the trainings here, to look at them.")] = None,
    output: Annotated[Path, typer.Option("--out", help="Where the outcomes go.")] = Path("work/chaos.json"),
) -> None:
    """Inflict every fault and print what became of the training."""
    known = faults(count)
    unknown = sorted({*(only or ())} - known.keys())
    if unknown or scale not in SCALES:
        raise typer.BadParameter(f"faults: {', '.join(known)}; scales: {', '.join(SCALES)}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        chaos = Chaos(folder or Path(temporary), SCALES[scale], seed, thorough=thorough)
        console.say(f"undisturbed: {chaos.scale.steps:,} steps in {console.duration(chaos.reference_s)}")
        outcomes = [_inflict(name, known[name], chaos) for name in only or known]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n", encoding="utf-8")
    console.show(_table(outcomes))
    sys.exit(any(outcome.problems for outcome in outcomes))


def _inflict(name: str, fault: Fault, chaos: Chaos) -> Outcome:
    began = time.monotonic()
    console.say(f"{name} …")
    try:
        outcome = fault(chaos)
    except (RuntimeError, AssertionError, OSError) as error:
        outcome = Outcome(name, "", [f"{type(error).__name__}: {error}"])
    outcome.seconds = round(time.monotonic() - began, 1)
    verdict = "BROKEN" if outcome.problems else "survived" if outcome.tried else "not tried"
    console.say(f"{name}: {verdict}, {console.duration(outcome.seconds)}: {outcome.happened}")
    for problem in outcome.problems:
        console.say(f"  {problem}")
    return outcome


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title="Faults", title_justify="left")
    for column in ("fault", "what happened", "took", "as undisturbed*"):
        table.add_column(column)
    for outcome in outcomes:
        verdict = "NO: " + "; ".join(outcome.problems) if outcome.problems else "yes" if outcome.tried else "–"
        table.add_row(outcome.fault, outcome.happened, console.duration(outcome.seconds), verdict)
    table.caption = "* every checkpoint's bytes, every loss, every attempt's end, and each step once in MLflow"
    return table


if __name__ == "__main__":
    typer.run(main)
