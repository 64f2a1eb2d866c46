"""torchrun as a user starts it, on this machine or on two, which are network namespaces with a cable between them."""

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.conftest import PATIENCE_S, StudyFolder
from tests.processes import children, kill

PORT = 29417
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Host:
    """A machine of its own, as far as one can have it: its addresses are its own, its folders if a test says so."""

    name: str
    address: str
    number: int

    def torchrun(
        self,
        study: StudyFolder,
        module: str,
        *options: str,
        nodes: str = "2",
        meets_at: "Host",
        tries: int = 1,
        **environment: str,
    ) -> Process:
        """Start its torchrun. meets_at: the host with the meeting point. tries: it is started again when it fails."""
        command = [*TORCHRUN, "--nnodes", nodes, "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
        command += ["--rdzv-endpoint", f"{meets_at.address}:{PORT}", "--rdzv-id", "study", "--local-addr", self.address]
        # A lost machine is known by its silence; torch's default would wait for half a minute. Both have this
        # machine's name, so torchrun cannot tell by itself which of them is meant by the address.
        patience = "join_timeout=300,last_call_timeout=2,keep_alive_interval=1,keep_alive_max_attempt=3,read_timeout=5"
        command += ["--rdzv-conf", f"{patience},is_host={str(self == meets_at).lower()}", "--monitor-interval", "0.5"]
        command += [*options, "-m", module]
        again = f"for try in $(seq {tries}); do {shlex.join(command)} && exit; sleep 1; done; exit 1"
        # Without the second variable a machine that comes later waits for an address that torchrun publishes only once.
        fixed = {"GLOO_SOCKET_IFNAME": "eth", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        return started(["ip", "netns", "exec", self.name, "bash", "-c", again], study, **fixed | environment)


def torchrun(study: StudyFolder, module: str, *options: str, **environment: str) -> Process:
    """Start two processes on this machine."""
    command = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", "--monitor-interval", "0.1", *options, "-m", module]
    return started(command, study, **environment)


def started(command: Sequence[str], study: StudyFolder, **environment: str) -> Process:
    """Start a command in a study's folder, in a session of its own."""
    return subprocess.Popen(
        command,
        cwd=study.root,
        env=study.environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def outputs(*processes: Process) -> list[str]:
    """Wait for processes that belong together; what each printed. None of them is left."""
    try:
        return [process.communicate(timeout=PATIENCE_S)[0] for process in processes]
    finally:
        for process in processes:
            kill_all(process)


def kill_all(process: Process) -> None:
    """SIGKILL a torchrun with all it started: what a machine does that loses its power."""
    if process.poll() is not None:
        return
    family, new = [process.pid], [process.pid]
    while new:
        new = [child for parent in new for child in children(parent)]
        family += new
    kill(*family)
    process.wait()


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Host] | None]:
    """Two network namespaces with a cable between them; None where that is not allowed."""
    first, second = (Host(f"wavenet{os.getpid()}-{number}", f"10.213.7.{number}", number) for number in (1, 2))
    commands = [f"ip netns add {host.name}" for host in (first, second)]
    commands += [f"ip link add eth netns {first.name} type veth peer name eth netns {second.name}"]
    for host in (first, second):
        commands += [f"ip -n {host.name} address add {host.address}/24 dev eth"]
        commands += [f"ip -n {host.name} link set {device} up" for device in ("lo", "eth")]
    try:
        yield (first, second) if all(_succeeds(command) for command in commands) else None
    finally:
        for host in (first, second):
            _succeeds(f"ip netns delete {host.name}")


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts. `.ci/run` has what they need; elsewhere the test is skipped without it."""
    with two_hosts() as made:
        if made is None:
            assert "WAVENET_REQUIRE_HOSTS" not in os.environ, "network namespaces are not to be had here"
            pytest.skip("network namespaces need root and iproute2")
        yield made


def _succeeds(command: str) -> bool:
    try:
        return subprocess.run(command.split(), check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
