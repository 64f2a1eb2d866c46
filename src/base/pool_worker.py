"""One worker of `pool`: reads tasks from standard input, writes results to standard output.

Command (by the pool alone): `python -m src.base.pool_worker MODULE:FUNCTION`.
"""

import ctypes
import importlib
import os
import pickle
import resource
import signal
import sys
from typing import Any, BinaryIO

from src.base.errors import Problem
from src.base.pool_outcome import HEAD_BYTES, MEMORY_BYTES, READY, Failed, Fatal


def serve(function: Any, incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answer every task, in order, until standard input ends."""
    _reply(outgoing, READY)
    setting = _receive(incoming)
    while (tasks := _receive(incoming)) is not None:
        for task in tasks:
            try:
                result = function(setting, task)
            except Problem as problem:
                result = Fatal(str(problem))
            except MemoryError:
                result = Failed("needs too much memory to read")
            except Exception as error:  # noqa: BLE001 — a hostile file must cost one row, not the scan
                result = Failed(f"the reader failed on it ({type(error).__name__})")
            _reply(outgoing, result)


def _reply(outgoing: BinaryIO, value: Any) -> None:
    body = pickle.dumps(value)
    outgoing.write(len(body).to_bytes(HEAD_BYTES, "little") + body)
    outgoing.flush()


def _receive(incoming: BinaryIO) -> Any:
    head = incoming.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    # Written by the pool, over a pipe nobody else holds.
    return pickle.loads(incoming.read(int.from_bytes(head, "little")))  # noqa: S301


def _restrain() -> None:
    """Bound this process and its decoders; die with the parent; keep going when Ctrl-C is meant for the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for limit in (resource.RLIMIT_DATA, resource.RLIMIT_CORE):
        wanted = MEMORY_BYTES if limit == resource.RLIMIT_DATA else 0
        hard = resource.getrlimit(limit)[1]
        resource.setrlimit(limit, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    if sys.platform == "linux":
        death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL)


def main() -> None:
    """Serve with the function the command line names."""
    _restrain()
    module, _, name = sys.argv[1].partition(":")
    # What a library prints must not mix with the results: standard output becomes standard error.
    private = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(private, "wb") as outgoing:
        serve(getattr(importlib.import_module(module), name), sys.stdin.buffer, outgoing)


if __name__ == "__main__":
    main()
