"""The first screen: what was compared, what changed, how far it still is from music; in plain words.

In: a `Comparison`. Out: three questions and the sentences that answer them, for the page and the terminal.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from src.base.console import listed, plural
from src.compare import sentences, two_runs
from src.compare.comparison import Comparison, Run
from src.compare.sentences import Sentence
from src.compare.words import capital, number


class Answer(NamedTuple):
    """A question and the sentences that answer it."""

    question: str
    said: tuple[Sentence, ...]


def title(comparison: Comparison) -> str:
    """The page's title."""
    names = [f"{step:,}" for step in comparison.steps]
    if len(comparison.runs) > 1:
        beside = " beside ".join(run.label for run in comparison.runs)
        return f"{capital(beside)}, at {'step' if len(names) == 1 else 'steps'} {listed(names)}"
    if len(names) == 2:
        return f"Step {names[0]} beside step {names[1]}"
    return f"Steps {listed(names)}, side by side"


def eyebrow(comparison: Comparison) -> str:
    """The line above the title."""
    whose = "" if comparison.run.name == "current" else f": the run {comparison.run.name}"
    return f"A WaveNet learning music{whose}"


def answers(comparison: Comparison) -> list[Answer]:
    """The three questions; one that nothing answers says so. Of two runs, what differs is asked first."""
    asked: dict[str, Callable[[Run], Iterator[Sentence]]] = {
        "What was compared?": lambda run: _compared(run, comparison.steps),
        "What changed?": lambda run: _changed(run, comparison.steps),
        "How far is it still from music?": lambda run: _left(run, comparison.steps),
    }
    of_both: tuple[Sentence, ...] = ()
    if len(comparison.runs) == 2:
        of_both = (*two_runs.differ(*comparison.runs), *two_runs.better(*comparison.runs, comparison.steps[-1]))
    first = [Answer("How do the two differ?", of_both)] if of_both else []
    none = (Sentence("No measure answers this: what is missing is said below."),)
    runs = comparison.runs
    return first + [
        Answer(question, tuple(said for run in runs for said in _of(run, list(ask(run)), len(runs))) or none)
        for question, ask in asked.items()
    ]


def _of(run: Run, said: list[Sentence], runs: int) -> tuple[Sentence, ...]:
    """What is said of a run; where there are two, as one paragraph that begins with its name."""
    if runs == 1 or not said:
        return tuple(one.of(run.name) for one in said)
    label = capital(run.label) if run.name == "current" else run.label
    text = " ".join(one.text for one in said)
    return (Sentence(f"{label}: {text}", tuple(claim for one in said for claim in one.claims), run.name),)


def _compared(run: Run, wanted: Sequence[int]) -> Iterator[Sentence]:
    steps = [step for step in wanted if step in run.known_steps]
    rates = {clip.sound.rate_hz for clip in run.clips if clip.sound}
    named = f"{'Step' if len(steps) == 1 else 'Steps'} {listed([f'{step:,}' for step in steps])}"
    text = f"{named} of one training of a WaveNet, a network that predicts sound sample by sample"
    if run.network and len(rates) == 1:
        field, rate_hz = run.network.receptive_field, min(rates)
        text += f", here from the {field:,} samples before ({1000 * field / rate_hz:,.0f} ms)"
    yield Sentence(f"{text}. A step is one update of its weights.")
    training, held_out = (sum(getattr(count, part) or 0 for count in run.counts) for part in ("training", "validation"))
    if training:
        genres = sum(bool(count.training) for count in run.counts)  # params.yaml may name more than had songs
        held = "was held out: it never heard it, and is tested on it"
        held = held if held_out == 1 else "were held out: it never heard them, and is tested on them"
        yield Sentence(
            f"It learned from {plural(training, 'song')} of {plural(genres, 'genre')}; "
            f"{plural(held_out, 'other song')} {held}."
        )
    clips = max((run.generated[step].clips for step in steps if step in run.generated), default=0)
    lengths = [clip.sound.duration_s - clip.sound.seam_s for clip in run.clips if clip.sound and clip.step in steps]
    if clips and lengths:
        first = "" if clips == 1 else " The first of them is here, not a chosen one; the measures are of all."
        yield Sentence(f"Each step made {plural(clips, 'clip')} of {number(min(lengths))} s for every genre.{first}")


def _changed(run: Run, steps: Sequence[int]) -> Iterator[Sentence]:
    if run.evaluation is not None:
        yield from sentences.progression(run.evaluation, steps[0], steps[-1])
        yield from sentences.gained(run.evaluation, steps[-1])
        yield from sentences.plateau(run.evaluation, steps)
        if run.seeds is not None:
            yield from sentences.luck(run.seeds, steps[0])


def _left(run: Run, steps: Sequence[int]) -> Iterator[Sentence]:
    if run.evaluation is not None:
        yield from sentences.distance_left(run.evaluation, steps[-1])
