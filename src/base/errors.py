"""The exceptions that are no bugs: what a person can put right, and what may go well the next time."""

import errno
import os
import signal

_REASONS = {
    errno.ENOENT: "gone while it was read",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ENOMEM: "too little memory to read it",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
}

CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}
)
"""Signals by which a program ends through its own fault; any other was sent to it."""


class Problem(Exception):
    """Something the user can put right.

    The message is one or more plain sentences that name the file, the value and the way out; it is
    printed without a traceback and the program exits with status 1 (`base/console.py`).
    """


class Unread(Exception):
    """Reading a file did not come to its end; the message says why, without the file's name.

    passing: it says nothing about the file (gone, killed, out of memory), so it is tried again and never kept. Else
    it may be the file's fault: a crash that comes twice is taken for a property of the file.
    """

    def __init__(self, reason: str, *, passing: bool = True) -> None:
        super().__init__(reason)
        self.passing = passing


def reason_of(error: OSError) -> str:
    """What an error of the operating system means for a file, without the file's name."""
    number = error.errno or 0
    return _REASONS.get(number) or f"cannot be read ({os.strerror(number)})"
