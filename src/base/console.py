"""What a person sees: progress bars on a terminal, few plain lines elsewhere, one sentence for an error."""

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from src.base.errors import Problem

MOST_NAMED = 5
"""Things that a sentence names of many."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

PLAIN_INTERVAL_S = 20.0
"""Away from a terminal, a long stage says where it is this often."""

_NOT_ALLOWED = "Give yourself the right to use it (ls -l, mount), or work in another folder"
WAYS_OUT = {
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.EROFS: _NOT_ALLOWED,
    errno.ENOSPC: "Free some space, or some of its number of files (df -h, df -i)",
    errno.EDQUOT: "Free some space: your quota is used up",
    errno.EMFILE: "Allow more open files (ulimit -n 1024)",
    errno.ENFILE: "Close other programs: the system has too many files open",
}
"""What the system refuses any stage anywhere, and what a person can do about it."""


def printable(text: str) -> str:
    """Names of files, genres and logs may hold escape sequences, which a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def say(text: str) -> None:
    """Print one plain line (no markup is interpreted)."""
    out.print(printable(text), markup=False)


def warn(text: str) -> None:
    """Print one line to standard error, marked as a warning."""
    err.print(f"warning: {printable(text)}", markup=False, style="yellow")


def error(problem: Problem) -> None:
    """Print a `Problem` as the one sentence that it is."""
    err.print(f"error: {printable(str(problem))}", markup=False, style="bold red")


def show(table: Table) -> None:
    """Print a rich table; away from a terminal at a fixed width, so that logs do not wrap."""
    if out.is_terminal:
        out.print(table)
    else:
        Console(width=160, highlight=False).print(table)


def listed(items: Sequence[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def few(items: Iterable[str], joint: str = ", ") -> str:
    """The first few, and how many more: there may be thousands."""
    known = list(items)
    more = f" (and {len(known) - MOST_NAMED:,} more)" if len(known) > MOST_NAMED else ""
    return joint.join(known[:MOST_NAMED]) + more


def counted(counts: Mapping[str, int]) -> str:
    """3 silent and 1 too short."""
    return listed([f"{count:,} {what}" for what, count in sorted(counts.items())])


def plural(count: int, noun: str) -> str:
    """1 song, 2 songs."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def steps(numbers: Sequence[int]) -> str:
    """Step 20, or steps 20, 5,020 and 15,000, without the capital."""
    return f"step{'s' if len(numbers) > 1 else ''} {listed([f'{number:,}' for number in numbers])}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8 s, 2 min 5 s, 1 h 12 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def fitted(notes: Sequence[str], room: int) -> str:
    """As many of the notes as fit into so many characters: none is cut."""
    kept = ""
    for note in notes:
        longer = f"{kept} · {note}" if kept else note
        if len(longer) > room:
            break
        kept = longer
    return kept


BAR_WIDTH = 20
BESIDE_NOTES = BAR_WIDTH + 17
"""A progress line without label and notes: bar, percentage, time left (7:59:59) and the blanks between them."""


class Meter:
    """Counts work done; drawn as a bar on a terminal, as a line now and then elsewhere."""

    def __init__(self, label: str, total: float, unit: str, start: float, bar: Progress | None) -> None:
        self._label, self._total, self._unit, self._bar = label, total, unit, bar
        self._start = self.done = start
        self._notes: tuple[str, ...] = ()
        self._began = self._spoke = time.monotonic()
        self._task = bar.add_task(label, total=total, completed=int(start), notes="") if bar else None

    def advance(self, amount: float = 1, notes: tuple[str, ...] | None = None) -> None:
        """Record `amount` more units done; `notes` (such as the loss), the most important first, stand behind."""
        self.done += amount
        if notes is not None:
            self._notes = notes
        now = time.monotonic()
        rate = (self.done - self._start) / max(now - self._began, 1e-9)
        shown = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        if self._bar is not None and self._task is not None:
            notes = (*self._notes[:1], f"{shown} {self._unit}/s", *self._notes[1:])
            room = err.width - len(self._label) - BESIDE_NOTES
            self._bar.update(self._task, completed=self.done, notes=fitted(notes, room))
        elif now - self._spoke >= PLAIN_INTERVAL_S:
            self._spoke = now
            left = duration((self._total - self.done) / max(rate, 1e-9))
            notes = (f"{self.done:,.0f} of {self._total:,.0f} {self._unit}", f"{shown}/s", f"{left} left", *self._notes)
            say(f"{self._label}: {', '.join(notes)}")


@contextmanager
def progress(label: str, total: float, unit: str, start: float = 0) -> Iterator[Meter]:
    """A progress meter for the length of the block.

    `start` is work done by an earlier attempt: it counts as done but not towards the rate.
    """
    if not err.is_terminal:
        yield Meter(label, total, unit, start, None)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(BAR_WIDTH),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[notes]}"),
        console=err,
    ) as bar:
        yield Meter(label, total, unit, start, bar)


@contextmanager
def if_slow(text: str, after_s: float = 1.0) -> Iterator[None]:
    """Say to standard error what the block does if it takes longer than this: a silence looks like a fault."""
    notice = threading.Timer(after_s, err.print, [text], {"markup": False})
    notice.daemon = True
    notice.start()
    try:
        yield
    finally:
        notice.cancel()


KEPT = "what was finished is kept. The same command goes on from there."


def run(app: typer.Typer, interrupted: str = KEPT, *, shares: bool = False) -> None:
    """Run a stage's command line: a `Problem` is printed as one sentence and ends with status 1.

    Ctrl-C and SIGTERM end the program through the same clean-up as an error. interrupted: what is said of it then;
    nothing, where another process says it.
    shares: several processes that torchrun starts share the work out; otherwise each would do all of it.
    """

    def stop(signum: int, _frame: Any) -> None:
        raise SystemExit(128 + signum)

    try:
        if not shares and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise Problem("This is the work of one process. Start it without torchrun.")
        with signals_handled(stop):  # Ctrl-C too, so that click does not turn it into its own "Aborted!"
            app()
    except Problem as problem:
        error(problem)
        sys.exit(1)
    except SystemExit as end:
        if interrupted and end.code in (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGHUP):
            err.print(f"Interrupted; {interrupted}", markup=False)
        raise
    except BrokenPipeError:
        # `| head` closed the pipe: the reader has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as failure:
        if failure.errno not in WAYS_OUT:
            raise
        place = f"{failure.filename}: " if failure.filename else ""
        error(Problem(f"{place}{failure.strerror}. {WAYS_OUT[failure.errno]}, and run the same command again."))
        sys.exit(1)


@contextmanager
def signals_handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Let `handler` have what asks a program to end, for the length of the block: SIGTERM, Ctrl-C, a lost terminal."""
    asked = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        asked.append(signal.SIGHUP)
    previous = {number: signal.signal(number, handler) for number in asked}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


class _Unbreakable:
    """A stream that swallows what is written to it once nobody is there to read it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def outlive_the_terminal() -> None:
    """From now on nothing fails because the terminal or the reader of a pipe is gone: training matters more."""
    out.file = cast(TextIO, _Unbreakable(sys.stdout))
    err.file = cast(TextIO, _Unbreakable(sys.stderr))


def command_app(help_text: str) -> typer.Typer:
    """A typer app for one stage, set up the same way everywhere."""
    return typer.Typer(help=help_text, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


Command = Callable[..., None]
