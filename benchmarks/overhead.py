"""What journal, MLflow and checkpoints cost a training, beside a loop that only trains.

    python -m benchmarks overhead [--steps 3000] [--rounds 3]

Three variants take turns, each in a process of its own: the bare loop; `python -m src.train` with everything but
validation; the same with the profile's validation. Timed from the end of the first step to the end of the last one, so
that the start of a process is not in it. Writes work/bench/overhead.json.
"""

import json
import resource
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks import measure
from benchmarks.temporary_study import OUTPUT, TemporaryStudy, temporary_study
from src import config
from src.base import console, files
from src.base.errors import Problem
from src.record import journal
from src.record.tracking import now_ms

VARIANTS = {
    "bare": "bare loop",
    "kept": "journal, MLflow, checkpoints",
    "validated": "… and validation",
}
CLIPS_PER_GENRE = 6


def overhead(
    profile: Annotated[str, typer.Option(help="Whose network and training.")] = "demo",
    steps: Annotated[int, typer.Option(min=4, help="Steps of each training.")] = 3000,
    rounds: Annotated[int, typer.Option(min=1, help="Trainings of each variant.")] = 3,
    output: Annotated[Path, typer.Option("--out", help="Where the figures go.")] = Path("work/bench/overhead.json"),
    bare: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Time whole trainings with and without what makes them survive."""
    if bare:
        print(json.dumps(train_bare(profile)))
        return
    validate_every = config.load(profile=profile).profile.train.validate_every
    done: list[dict[str, dict[str, float]]] = []
    with temporary_study(profile, steps=steps) as study:
        count = CLIPS_PER_GENRE * len(study.params.genres)
        console.say(f"making {count} clips …")
        study.write_clips(count, count)
        for number in range(1, rounds + 1):
            console.say(f"round {number} of {rounds}")
            done.append({})
            for variant in VARIANTS:
                study.change(validate_every=validate_every if variant == "validated" else 0)
                done[-1][variant] = train_and_time(study, variant)
    found = {
        "profile": profile,
        "steps": steps,
        "machine": measure.machine("cpu"),
        "rounds": done,
        "ratios": ratios(done),
        "same_last_loss": len({row["last_loss"] for turn in done for row in turn.values()}) == 1,
    }
    files.write_json(output, found)
    console.show(_table(found))
    console.say(
        "MLflow is loaded and its database made once, 10 s after the start; with enough steps the second half is "
        "without that."
    )
    console.say(f"Written to {output}.")
    if not found["same_last_loss"]:
        raise Problem(f"The variants did not do the same work: their last losses in {output} differ.")


def train_bare(profile: str) -> dict[str, float]:
    """Train to the last step with nothing beside it; stamps (ms since 1970) of the first, middle and last step."""
    from benchmarks.bare import bare_training

    params = config.load(profile=profile)
    training, _ = bare_training(params, Path())
    last = params.profile.train.steps
    first_ms = middle_ms = 0
    loss = 0.0
    for step in range(1, last + 1):
        loss = training.step(step)
        if step == 1:
            first_ms = now_ms()
        if step == last // 2:
            middle_ms = now_ms()
    return stamped(first_ms, middle_ms, now_ms(), loss)


def stamped(first_ms: int, middle_ms: int, last_ms: int, loss: float) -> dict[str, float]:
    """A training's figures from the ends of its first, middle and last step and the last one's loss."""
    return {
        "seconds": (last_ms - first_ms) / 1000,
        "second_half_seconds": (last_ms - middle_ms) / 1000,
        "last_loss": loss,
    }


def ratios(rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, Any]]:
    """Variant → its time over the bare loop's of the same round: of each round and the median, whole and second half.

    rounds: variant → figures (`stamped`), for each round.
    """
    found: dict[str, dict[str, Any]] = {}
    for variant in VARIANTS:
        found[variant] = {}
        for key in ("seconds", "second_half_seconds"):
            each = [turn[variant][key] / turn["bare"][key] for turn in rounds]
            found[variant][key] = {"each": each, "median": statistics.median(each)}
    return found


def train_and_time(study: TemporaryStudy, variant: str) -> dict[str, float]:
    """Train once from the beginning; the figures of `stamped` and two more.

    `beside_seconds`: of the time, what was not in a step, by the journal's own clock of each step (other programs on
    the machine hardly touch its share). `cpu_seconds`: of all its processes, their start and end among them.
    """
    study.forget()
    last = study.params.profile.train.steps
    before = _children_cpu_seconds()
    if variant == "bare":
        with study.running("benchmarks", "overhead", "--bare", "--profile", study.profile) as process:
            study.wait(process, VARIANTS[variant])
        figures: dict[str, float] = json.loads((study.root / OUTPUT).read_text(encoding="utf-8").splitlines()[-1])
        figures["beside_seconds"] = 0.0
    else:
        with (
            study.running("src.train") as process,
            console.progress(VARIANTS[variant], last, "steps") as meter,
        ):
            for new in study.follow(process):
                meter.advance(sum(record["kind"] == "step" for record in new))
        assert study.training is not None
        view = journal.read(study.training / "journal.jsonl")
        if len(view.attempts) != 1:
            raise Problem("A training was interrupted while it was measured; run the benchmark again.")
        stamps = [view.steps[step].time_ms for step in (1, last // 2, last)]
        figures = stamped(stamps[0], stamps[1], stamps[2], view.steps[last].loss)
        within = sum(view.steps[step].seconds or 0 for step in range(2, last + 1))
        figures["beside_seconds"] = figures["seconds"] - within
    console.say(f"{VARIANTS[variant]}: {figures['seconds']:.1f} s")
    return figures | {"cpu_seconds": _children_cpu_seconds() - before}


def _children_cpu_seconds() -> float:
    """Of all processes that were started here and have ended, with theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _table(found: Mapping[str, Any]) -> Table:
    table = Table(title=f"{found['steps']:,} steps, {found['profile']} profile")
    headings = ("variant", "s, each round", "ms a step", "× bare", "second half", "not in a step", "CPU s", "last loss")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for variant, name in VARIANTS.items():
        rows = [turn[variant] for turn in found["rounds"]]
        median = {key: statistics.median(row[key] for row in rows) for key in ("seconds", "cpu_seconds")}
        beside = statistics.median(row["beside_seconds"] / row["seconds"] for row in rows)
        both = (found["ratios"][variant][key]["median"] for key in ("seconds", "second_half_seconds"))
        table.add_row(
            name, "  ".join(f"{row['seconds']:.1f}" for row in rows),
            f"{1000 * median['seconds'] / (found['steps'] - 1):.2f}", *(f"{ratio:.3f}" for ratio in both),
            f"{100 * beside:.2f} %", f"{median['cpu_seconds']:.1f}",
            " ".join(sorted({f"{row['last_loss']:.6f}" for row in rows})),
        )  # fmt: skip
    return table
