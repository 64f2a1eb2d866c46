"""One worker of `pool`: receives tasks and sends results over the pipe that it inherits.

Command (by the pool alone): `python -m src.base.pool_worker MODULE:FUNCTION DESCRIPTOR`.
"""

import ctypes
import importlib
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from src.base.errors import Problem, Unread, reason_of
from src.base.pool import READY, Failed

MEMORY_BYTES = 3 << 30
"""Most data memory of one worker, and of a decoder it runs."""


def serve(function: Callable[[Any, Any], Any], pipe: "Connection[Any, Any]") -> None:
    """Answer every task, in order, until the pool closes the pipe."""
    pipe.send(READY)
    try:
        setting = pipe.recv()
        while True:
            for task in pipe.recv():
                pipe.send(_result(function, setting, task))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _result(function: Callable[[Any, Any], Any], setting: Any, task: Any) -> Any:
    try:
        return function(setting, task)
    except Problem as problem:
        return problem  # not the file's fault (a full disk): the whole stage ends with it
    except Unread as error:
        return Failed(str(error), error.passing)
    except OSError as error:
        return Failed(reason_of(error), passing=True)
    except (MemoryError, ImportError):  # what is imported late fails where memory or open files are short
        return Failed("too little memory to read it", passing=True)
    except Exception as error:  # noqa: BLE001 — a hostile file must cost one row, not the scan
        return Failed(f"the reader failed on it ({type(error).__name__})", passing=False)


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
    """Serve with the function and the pipe that the command line names."""
    _restrain()
    module, _, name = sys.argv[1].partition(":")
    with Connection(int(sys.argv[2])) as pipe:
        serve(getattr(importlib.import_module(module), name), pipe)


if __name__ == "__main__":
    main()
