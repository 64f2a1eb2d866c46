"""Two machines, as far as one can have them: network namespaces with addresses and folders of their own."""

import contextlib
import math
import time

from src.record import journal
from tests.chaos.harness import Chaos, Outcome
from tests.conftest import PATIENCE_S, StudyFolder
from tests.hosts import Host, Process, kill_all, two_hosts
from tests.processes import book, sabotaged, step_lines


def lost_and_found(chaos: Chaos) -> Outcome:
    """Each of two machines dies once and comes back: the second one, then the first, which has the journal.

    While the second is away the first goes on alone. While the first is away, and with it torchrun's meeting point, the
    second's torchrun is started again until the first is back.
    """
    studies = [chaos.study("machine-1"), chaos.study("machine-2")]
    fault = "each of two machines lost, then back"
    with two_hosts() as hosts:
        if hosts is None:
            return Outcome(fault, "network namespaces need root and iproute2", [], tried=False)
        first, second = (_start(host, study, hosts[0]) for host, study in zip(hosts, studies, strict=True))
        try:
            attempt = wait_for_processes(studies[0], 2)
            kill_all(second)
            attempt = wait_for_processes(studies[0], 1, later_than=attempt)
            second = _start(hosts[1], studies[1], hosts[0])
            attempt = wait_for_processes(studies[0], 2, later_than=attempt)
            kill_all(first)
            time.sleep(5)
            first = _start(hosts[0], studies[0], hosts[0])
            wait_for_processes(studies[0], 2, later_than=attempt)
            printed, _ = first.communicate(timeout=300)
        finally:
            kill_all(first)
            kill_all(second)
    problems = [] if first.returncode == 0 else [f"it ended with {first.returncode}: {printed[-600:]}"]
    chaos.finish(studies[0])  # sends what is not sent yet
    view, reference = (journal.read(book(study)) for study in (studies[0], chaos.undisturbed))
    problems += [] if list(view.steps) == list(reference.steps) else [f"{len(view.steps)} steps"]
    far = [
        step
        for step, line in view.steps.items()
        if not math.isclose(line.loss, reference.steps[step].loss, rel_tol=1e-3)
    ]
    problems += [f"{len(far)} losses differ by more than 0.1 %, first at step {far[0]}"] if far else []
    if list((studies[1].root / "work" / "train").glob("*/journal.jsonl")):
        problems.append("the second machine kept a run of its own")
    if not list((studies[1].root / "work" / "train").glob("*/led-elsewhere")):
        problems.append("the second machine does not know that the first one has the journal")
    problems += chaos.differences_in_mlflow(studies[0], studies[0].root / "mlruns" / "mlflow.db")
    shares = " → ".join(str(attempt.details["processes"]) for attempt in view.attempts.values())
    return Outcome(fault, f"torchrun on two hosts; processes of the attempts: {shares}; losses within 0.1 %", problems)


def _start(host: Host, study: StudyFolder, meets_at: Host) -> Process:
    options = ("--max-restarts", "9")
    slow = sabotaged(slow_s=0.1)
    return host.torchrun(study, "src.train", *options, nodes="1:2", meets_at=meets_at, tries=20, **slow)


def wait_for_processes(study: StudyFolder, count: int, *, later_than: int = 0) -> int:
    """Wait until an attempt later than that one has this many processes and has done some steps; its number."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(ValueError, OSError):
            view = journal.read(book(study))
            newest = view.attempts[max(view.attempts)]
            if newest.attempt > later_than and newest.details["processes"] == count and newest.attempt in view.spans:
                before = step_lines(study)
                while step_lines(study) < before + 25:
                    time.sleep(0.05)
                    if time.monotonic() > deadline:
                        break
                return newest.attempt
        time.sleep(0.1)
    raise AssertionError(f"the training did not go on with {count} processes")
