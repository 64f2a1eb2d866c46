"""What happens around a training: people who stop it or start it twice, clocks, names and machines that change."""

import signal
import sqlite3
import time

from src.record import journal
from tests.chaos.harness import Chaos, Outcome
from tests.processes import book, children, kill, kill_family, sabotaged, step_lines, wait_for_step


def asked_to_stop(chaos: Chaos) -> Outcome:
    """SIGTERM and Ctrl-C, again and again, the first moments of a start among them."""
    study, problems = chaos.study("asked"), []
    signals = [signal.SIGTERM, signal.SIGINT] * (5 if chaos.thorough else 2)
    for number, signum in enumerate(signals):
        process = study.start("src.train", **sabotaged(slow_s=0.005))
        if number % 2 == 0:
            wait_for_step(study, 30 * (number + 1))
        else:
            while process.poll() is None and not children(process.pid):
                time.sleep(0.01)  # then the trainer's modules are loading
        kill(process.pid, signum=signum)
        printed, _ = process.communicate()
        if process.returncode != 128 + signum or "Traceback" in printed:
            problems.append(f"{signum.name} gave {process.returncode}: {printed.strip()[-300:]}")
    printed = chaos.finish(study)
    problems += [f"in the end it said: {printed}"] if "not every step" in printed else []
    view = journal.read(book(study))
    problems += [f"{view.replayed} steps were done again"] if view.replayed else []
    problems += chaos.differences(study)
    return Outcome("SIGTERM and Ctrl-C", f"{len(signals)} times, some during start-up; no step done again", problems)


def started_twice(chaos: Chaos) -> Outcome:
    """A second supervisor while the first lives: it refuses and names the first."""
    study = chaos.study("second")
    first = study.start("src.train", **sabotaged(slow_s=0.01))
    wait_for_step(study, 5)
    second = study.run("src.train")
    first.communicate()
    problems = [] if second.returncode == 1 and str(first.pid) in second.stdout else [f"said: {second.stdout}"]
    problems += chaos.differences(study)
    return Outcome("two supervisors at once", "the second refused and named the first", problems)


def supervisor_killed(chaos: Chaos) -> Outcome:
    """SIGKILL of the supervisor alone: the trainer saves and leaves, nothing goes on unwatched."""
    study = chaos.study("supervisor")
    process = study.start("src.train", **sabotaged(slow_s=0.01))
    wait_for_step(study, 33)
    trainers = children(process.pid)
    kill(process.pid)
    process.communicate()  # the trainer holds the other end of the pipe: this returns when it has left too
    problems = [] if trainers and journal.read(book(study)).replayed == 0 else ["there was no trainer"]
    chaos.finish(study)
    ends = [(attempt.cause, attempt.detail) for attempt in journal.read(book(study)).attempts.values()]
    problems += [] if ends[0] == ("interrupted", "SIGTERM") else [f"the first attempt ended as {ends[0]}"]
    problems += chaos.differences(study)
    return Outcome("supervisor killed alone", "the trainer saved and left; no step done again", problems)


def clock_and_name(chaos: Chaos) -> Outcome:
    """The clock goes back an hour between two attempts, and people call the machine something else."""
    study = chaos.study("clock")
    _killed_at(chaos, "clock", 100)
    chaos.finish(study, **sabotaged(clock_s=-3600, host="renamed"))
    attempts = journal.read(book(study)).attempts
    problems = [] if attempts[2].time_ms < attempts[1].time_ms else ["the clock was not set back"]
    problems += ["a renamed machine was taken for another one"] if attempts[2].details["moved"] else []
    lock = book(study).with_name("lock").read_text(encoding="utf-8")  # the journal has no name of a machine
    problems += [] if lock.endswith(" on renamed") else ["it was not renamed"]
    problems += chaos.differences(study)
    return Outcome("clock set back, machine renamed", "one hour, between two attempts", problems)


def other_machine(chaos: Chaos) -> Outcome:
    """Another machine takes the run up from a copy of the folder: it is seen as such without being told."""
    study = chaos.study("moved")
    _killed_at(chaos, "moved", 100)
    chaos.finish(study, **sabotaged(machine="0123456789abcdef0123456789abcdef"))
    attempts = journal.read(book(study)).attempts
    problems = [] if attempts[2].details["moved"] else ["the move was not seen"]
    problems += [] if attempts[1].cause == "moved" else [f"the first attempt's cause is {attempts[1].cause}"]
    with sqlite3.connect(study.root / "mlruns" / "mlflow.db") as connection:
        told = connection.execute("SELECT value FROM tags WHERE key = 'mlflow.note.content'").fetchall()
    problems += [] if any("on another machine" in row[0] for row in told) else ["MLflow does not tell of it"]
    problems += chaos.differences(study)
    return Outcome("run taken up on another machine", "seen by its id, told in MLflow", problems)


def hopeless(chaos: Chaos) -> Outcome:
    """A step that fails the same way each time: the supervisor stops for good, says why, and a mended run goes on."""
    study, problems, said = chaos.study("hopeless"), [], []
    for kind, words in (("ValueError", "ValueError: sabotage"), ("SIGSEGV", "SIGSEGV")):
        process = study.start("src.train", **sabotaged(fail=f"{37}:{kind}"))
        printed, _ = process.communicate()
        sentence = f"Step 37 failed the same way 3 times: crashed ({words}"
        said.append(sentence in printed and process.returncode == 1)
        if not said[-1]:
            problems.append(f"{kind}: {printed.strip()[-400:]}")
    chaos.finish(study)
    problems += chaos.differences(study)
    happened = f"an error and a fault: stopped for good after 3 times each ({step_lines(study)} step lines in the end)"
    return Outcome("a step that always fails", happened, problems)


def _killed_at(chaos: Chaos, name: str, step: int) -> None:
    study = chaos.study(name)
    process = study.start("src.train", **sabotaged(slow_s=0.002))
    wait_for_step(study, step)
    kill_family(process.pid)
    process.communicate()
