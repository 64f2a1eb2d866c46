"""Several processes as one, seen from one of them: what it shares, what it takes over, whom it follows."""

import signal
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import torch
from torch import distributed as dist
from torch.distributed import distributed_c10d

from src.base.errors import Problem
from src.train import workers
from src.train.workers import LostProcessError, Workers
from src.wavenet.device import Kind

ALONE = Workers(0, 1)


def others(monkeypatch: pytest.MonkeyPatch, *values: Sequence[float] | float) -> None:
    """Other processes, each with this for whatever is reduced."""

    def all_reduce(tensor: torch.Tensor, op: object = dist.ReduceOp.SUM) -> None:
        for value in values:
            theirs = torch.tensor(value, dtype=tensor.dtype)
            tensor.copy_(tensor + theirs if op == dist.ReduceOp.SUM else torch.maximum(tensor, theirs))

    monkeypatch.setattr(dist, "all_reduce", all_reduce)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is tried with the others fails: they are gone."""

    def fail(*_given: object, **_named: object) -> None:
        raise RuntimeError("[gloo] connection closed by peer [127.0.0.1]:2911")

    for name in ("all_reduce", "broadcast", "barrier"):
        monkeypatch.setattr(dist, name, fail)


def test_gradients_are_averaged_over_all_processes_each_in_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    others(monkeypatch, [3.0, 10, 20, 30, 40, 7], [0.0, 1, 2, 3, 4, 5])
    tensors = [torch.tensor(6.0), torch.tensor([[2.0, 4], [7, 10]]), torch.tensor([0.0])]  # 6 numbers in all
    Workers(1, 3).average(tensors)
    wanted = (3.0, [[13 / 3, 26 / 3], [40 / 3, 18.0]], [4.0])
    assert all(torch.allclose(t, torch.tensor(w)) for t, w in zip(tensors, wanted, strict=True))


def test_all_agree_on_the_largest_value(monkeypatch: pytest.MonkeyPatch) -> None:
    others(monkeypatch, 15.0, 2.0)
    assert Workers(0, 3).agree(0) == 15
    assert Workers(0, 3).agree(20) == 20


@pytest.mark.parametrize(
    ("steps", "leader"),
    [((0, 0, 0), 0), ((5, 9, 9), 1), ((9, 9, 5), 0), ((0, 0, 1), 2), ((7, 6, 8), 2)],
)
def test_the_first_of_those_whose_disk_knows_most_leads(
    monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...], leader: int
) -> None:
    said: list[int] = []

    def agree(_group: Workers, value: int) -> int:
        said.append(value)
        return max(said)

    monkeypatch.setattr(Workers, "agree", agree)
    for rank, step in enumerate(steps):
        Workers(rank, 3).led_by_the_furthest(step)  # all of them say theirs
    for rank, step in enumerate(steps):
        led = Workers(rank, 3).led_by_the_furthest(step)
        assert (led.leader, led.leads, led.rank, led.size) == (leader, rank == leader, rank, 3)


def test_rows_are_shared_out_without_gap_or_overlap() -> None:
    assert [list(Workers(rank, 3).rows(6)) for rank in range(3)] == [[0, 1], [2, 3], [4, 5]]
    assert list(ALONE.rows(5)) == [0, 1, 2, 3, 4]
    with pytest.raises(Problem, match="A batch of 7 cannot be shared evenly by 3 processes"):
        Workers(0, 3).rows(7)


@pytest.mark.parametrize("theirs", ["0000000000000000", "ffffffffffffffff", "0123456789abcdff", "0123456789abcddf"])
def test_processes_that_mean_different_runs_do_not_train_together(monkeypatch: pytest.MonkeyPatch, theirs: str) -> None:
    value = int(theirs, 16) >> 4
    monkeypatch.setattr(
        dist, "all_reduce", lambda tensor, op: tensor.copy_(torch.maximum(tensor, torch.tensor([value, -value])))
    )
    with pytest.raises(Problem, match=r"do not mean the same run \(this one: 0123456789abcdef\)"):
        Workers(0, 2).agree_on("0123456789abcdef")
    Workers(0, 2).agree_on(theirs)
    ALONE.agree_on("0123456789abcdef")


def test_the_leader_s_values_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "broadcast", lambda tensor, leader: tensor.fill_(10 + leader))
    tensors = [torch.zeros(2), torch.zeros(1)]
    Workers(0, 3, leader=2).follow_leader(tensors)
    assert [tensor.tolist() for tensor in tensors] == [[12, 12], [12]]


def test_all_wait_for_each_other_before_they_leave_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("barrier", "destroy_process_group"):
        monkeypatch.setattr(dist, name, lambda name=name: done.append(name))
    Workers(1, 2).part()
    assert done == ["barrier", "destroy_process_group"]


@pytest.mark.usefixtures("lost")
def test_one_process_needs_no_other() -> None:
    tensors = [torch.tensor([1.0, 2.0])]
    ALONE.average(tensors)
    ALONE.follow_leader(tensors)
    ALONE.part()
    assert ALONE.agree(7) == 7
    assert ALONE.led_by_the_furthest(9) == ALONE
    assert tensors[0].tolist() == [1.0, 2.0]


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize(
    "together",
    [
        lambda group: group.average([torch.zeros(1)]),
        lambda group: group.agree(1),
        lambda group: group.follow_leader([torch.zeros(1)]),
        lambda group: group.part(),
    ],
)
def test_a_lost_process_is_a_sentence_and_worth_another_attempt(together: Callable[[Workers], object]) -> None:
    with pytest.raises(LostProcessError, match="another of the 2 processes is gone, or silent"):
        together(Workers(0, 2))


class Store:
    """A store of torchrun's, and clients of it for threads."""

    def __init__(self) -> None:
        self._server = self.client(port=0, serves=True)

    def client(self, port: int | None = None, *, serves: bool = False) -> "dist.TCPStore":  # type: ignore[name-defined]
        return dist.TCPStore(  # type: ignore[attr-defined]
            "127.0.0.1",
            self._server.port if port is None else port,
            is_master=serves,
            wait_for_workers=False,
            timeout=timedelta(seconds=30),
        )

    def meet(self, size: int) -> list[int]:
        """The numbers under which so many processes meet, by rank."""
        met: dict[int, int] = {}

        def come(rank: int) -> None:
            met[rank] = workers._meeting(self.client(), rank, size)

        threads = [threading.Thread(target=come, args=(rank,), daemon=True) for rank in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return [met[rank] for rank in sorted(met)]


def test_those_who_meet_share_a_number_that_no_earlier_ones_had() -> None:
    store = Store()
    assert store.meet(3) == [1, 1, 1]
    assert store.meet(3) == [2, 2, 2]
    client = store.client()
    client.set("knock-1", "a word of one that is dead")  # it knocked and died before it had an answer
    assert store.meet(2) == [3, 3]
    assert store.meet(1) == [4]


def test_one_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SILENCE_S", 0.2)
    store = Store()
    with pytest.raises(RuntimeError, match="2 of 3 processes did not come"):
        workers._meeting(store.client(), 0, 3)


@pytest.mark.parametrize(
    ("rank", "agent", "kind", "serves", "backend"),
    [
        ("0", "True", "cpu", False, "gloo"),
        ("0", None, "cpu", True, "gloo"),
        ("1", None, "cpu", False, "gloo"),
        ("1", "True", "cuda", False, "cpu:gloo,cuda:nccl"),
    ],
)
def test_it_joins_as_torchrun_s_environment_says(
    monkeypatch: pytest.MonkeyPatch, rank: str, agent: str | None, kind: Kind, serves: bool, backend: str
) -> None:
    told: list[Any] = []
    environment = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "29"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    if agent:
        monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", agent)
    monkeypatch.setattr(signal, "signal", lambda *given: told.append(given))
    monkeypatch.setattr(
        dist, "TCPStore", lambda *given, **named: (given, named["is_master"], named["wait_for_workers"])
    )
    monkeypatch.setattr(workers, "_meeting", lambda *_given: 7)
    monkeypatch.setattr(distributed_c10d, "PrefixStore", lambda *given: given)
    monkeypatch.setattr(dist, "init_process_group", lambda *given, **named: told.append((given, named)))
    assert workers.join(kind) == Workers(int(rank), 2)
    *signals, ((used,), named) = told
    assert signals == [(number, signal.SIG_DFL) for number in (15, 2)]
    assert used == backend
    assert named["store"] == ("meeting-7", (("here", 29, 2), serves, False))
    assert (named["rank"], named["world_size"], named["timeout"].total_seconds()) == (int(rank), 2, workers.SILENCE_S)
