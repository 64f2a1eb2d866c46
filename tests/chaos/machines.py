"""Two machines, as far as one can have them: network namespaces with addresses and folders of their own."""

import contextlib
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from src.record import journal
from tests.chaos.harness import Chaos, Outcome, sabotaged
from tests.conftest import StudyFolder
from tests.processes import book, children, kill, step_lines

ADDRESSES = ("10.213.7.1", "10.213.7.2")
PORT = 29417


def lost_and_found(chaos: Chaos) -> Outcome:
    """The second of two machines dies, the first goes on alone; it comes back and takes its share again."""
    studies = [chaos.study("machine-1"), chaos.study("machine-2")]
    fault = "one of two machines lost, then back"
    with _two_hosts() as hosts:
        if not hosts:
            return Outcome(fault, "network namespaces need root and iproute2", [], tried=False)
        first = _torchrun(hosts[0], studies[0])
        second = _torchrun(hosts[1], studies[1])
        try:
            _wait_for_processes(studies[0], 2)
            _kill_all(second)
            _wait_for_processes(studies[0], 1)
            second = _torchrun(hosts[1], studies[1])
            _wait_for_processes(studies[0], 2)
            printed, _ = first.communicate(timeout=300)
        finally:
            _kill_all(first)
            _kill_all(second)
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
    if list((studies[1].root / "work" / "train").glob("*/checkpoints/step-*")):
        problems.append("the second machine kept a run of its own")
    problems += chaos.differences_in_mlflow(studies[0], studies[0].root / "mlruns" / "mlflow.db")
    shares = " → ".join(str(attempt.details["processes"]) for attempt in view.attempts.values())
    return Outcome(fault, f"torchrun on two hosts; processes of the attempts: {shares}; losses within 0.1 %", problems)


def _torchrun(host: str, study: StudyFolder) -> "subprocess.Popen[str]":
    number = int(host[-1])
    address = ADDRESSES[number - 1]
    command = ["ip", "netns", "exec", host, sys.executable, "-m", "torch.distributed.run", "--nnodes", "1:2"]
    command += ["--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"{ADDRESSES[0]}:{PORT}"]
    command += ["--rdzv-id", "study", "--local-addr", address, "--max-restarts", "9", "--monitor-interval", "0.5"]
    # A lost machine is known by its silence; torch's default would wait for half a minute.
    patience = "join_timeout=60,last_call_timeout=2,keep_alive_interval=1,keep_alive_max_attempt=3"
    # Both have this machine's name, so torchrun cannot tell by itself which of them is meant by the address.
    command += ["--rdzv-conf", f"{patience},is_host={str(number == 1).lower()}"]
    return subprocess.Popen(
        [*command, "-m", "src.train"],
        cwd=study.root,
        env=study.environment(
            **sabotaged(slow_s=0.1),
            GLOO_SOCKET_IFNAME="eth",
            # Otherwise a machine that comes later waits for an address that torchrun publishes only once.
            TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _wait_for_processes(study: StudyFolder, count: int, longest_s: float = 120) -> None:
    """Wait until the newest attempt has this many processes and has done some steps."""
    deadline = time.monotonic() + longest_s
    while time.monotonic() < deadline:
        with contextlib.suppress(ValueError, OSError):
            view = journal.read(book(study))
            newest = view.attempts[max(view.attempts)]
            if newest.end is None and newest.details["processes"] == count and newest.attempt in view.spans:
                before = step_lines(study)
                while step_lines(study) < before + 25:
                    time.sleep(0.05)
                    if time.monotonic() > deadline:
                        break
                return
        time.sleep(0.1)
    raise AssertionError(f"the training did not go on with {count} processes within {longest_s:.0f} s")


def _kill_all(process: "subprocess.Popen[str]") -> None:
    """SIGKILL a torchrun with all it started: what a machine does that loses its power."""
    family, new = [process.pid], [process.pid]
    while new:
        new = [child for parent in new for child in children(parent)]
        family += new
    kill(*family)
    process.wait()


@contextlib.contextmanager
def _two_hosts() -> Iterator[list[str]]:
    """Two network namespaces with a cable between them; none where that is not allowed."""
    hosts = [f"chaos{os.getpid()}-1", f"chaos{os.getpid()}-2"]
    commands = [f"ip netns add {host}" for host in hosts]
    commands += [f"ip link add eth netns {hosts[0]} type veth peer name eth netns {hosts[1]}"]
    for host, address in zip(hosts, ADDRESSES, strict=True):
        commands += [f"ip -n {host} address add {address}/24 dev eth"]
        commands += [f"ip -n {host} link set {device} up" for device in ("lo", "eth")]
    try:
        done = all(_succeeds(command) for command in commands)
        yield hosts if done else []
    finally:
        for host in hosts:
            _succeeds(f"ip netns delete {host}")


def _succeeds(command: str) -> bool:
    try:
        return subprocess.run(command.split(), check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
