"""Disks that fill up: small tmpfs under the run, and under MLflow's database."""

from tests.chaos.harness import Chaos, Outcome, enlarge, small_disk
from tests.processes import step_lines


def full_under_the_run(chaos: Chaos) -> Outcome:
    """work/ has no room: the training ends with a sentence, twice, and goes on when there is room."""
    study = chaos.study("disk")
    disk, reached, problems = study.root / "work", [], []
    with small_disk(disk, "60k") as mounted:
        if not mounted:
            return Outcome("disk full", "mounting a small disk needs root", [], tried=False)
        for size in ("60k", "100k"):
            enlarge(disk, size)
            process = study.start("src.train")
            printed, _ = process.communicate()
            reached.append(step_lines(study))
            if process.returncode != 1 or "The disk is full" not in printed or "Traceback" in printed:
                problems.append(f"at {size} it said: {printed.strip()[-300:]}")
        enlarge(disk, "64m")
        chaos.finish(study)
        problems += chaos.differences(study)
    happened = f"ended with a sentence after {reached[0]} and {reached[1]} step lines, went on when given room"
    return Outcome("disk full", happened, problems)


def full_under_mlflow(chaos: Chaos) -> Outcome:
    """MLflow's database has no room: the training goes on to its end; what is missing is sent when there is room."""
    study = chaos.study("mlflow-disk")
    disk, problems = study.root / "mlruns", []
    with small_disk(disk, "900k") as mounted:
        if not mounted:
            return Outcome("disk full under MLflow", "mounting a small disk needs root", [], tried=False)
        printed = chaos.finish(study)
        problems += [] if "sends the rest" in printed else ["it did not say what to run"]
        enlarge(disk, "64m")
        chaos.finish(study)
        problems += chaos.differences(study)
    return Outcome("disk full under MLflow", "for the whole run; everything sent by the next start", problems)
