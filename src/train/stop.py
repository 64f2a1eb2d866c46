"""The wish that a training end, and the end of the step under way.

In: the signals that ask a program to end. Out: a flag that the training looks at between two steps.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack

from src.base import console

SAME_REQUEST_S = 1.0
"""Signals closer together than this are one request."""


class StopAskedError(Exception):
    """A signal asked for the end, and the step under way is done."""


class Stop:
    """Whether a signal asked for the end. Use it in a `with` block: its handlers are there for the block's length."""

    def __init__(self) -> None:
        self.asked = 0
        """The signal; 0 for none."""
        self.agreed = 0
        """The signal that all processes stop for, whichever of them got it."""
        self.abandon: Callable[[], None] | None = None
        """Gives the step under way up: a large network's takes long. None while other processes have a part in it."""
        self._asked_at = 0.0
        self._handlers = ExitStack()

    def __enter__(self) -> "Stop":
        self._handlers.enter_context(console.signals_handled(self._ask))
        return self

    def __exit__(self, *_error: object) -> None:
        self._handlers.close()

    def _ask(self, signum: int, _frame: object) -> None:
        # One request may come twice: from the system, to all processes of a service, and passed on by the supervisor.
        if self.asked and time.monotonic() - self._asked_at > SAME_REQUEST_S:
            raise SystemExit(128 + signum)
        if not self.asked:
            self.asked, self._asked_at = signum, time.monotonic()
        if self.abandon is not None:
            self.abandon()
