"""What the numbers say, in a few sentences: no more than they support.

In: a `Comparison`. Out: sentences for the head of the page and the end of the terminal table.
"""

from src.base.words import listed
from src.compare import curves
from src.compare.comparison import Comparison, Run
from src.compare.words import number, plural
from src.record.journal import LOSS_WINDOW


def title(comparison: Comparison) -> str:
    """The page's title."""
    names = [f"{step:,}" for step in comparison.steps]
    if len(comparison.runs) > 1:
        beside = " beside ".join(run.label for run in comparison.runs)
        return f"{_capital(beside)}, at {'step' if len(names) == 1 else 'steps'} {listed(names)}"
    if len(names) == 2:
        return f"Step {names[0]} beside step {names[1]}"
    return f"Steps {listed(names)}, side by side"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def eyebrow(comparison: Comparison) -> str:
    """The line above the title."""
    whose = "" if comparison.run.name == "current" else f": the run {comparison.run.name}"
    return f"A WaveNet learning music{whose}"


def summary(comparison: Comparison) -> list[str]:
    """Sentences about likelihood, loss and speed; those of the evaluation follow them on the page."""
    texts = []
    for run in comparison.runs:
        name = f"{_capital(comparison.name(run))}: ".removeprefix(": ")
        about = (*_likelihood(run, comparison), *_loss(run, comparison), *_speed(run, comparison))
        texts += [name + text for text in about]
    return texts


def _likelihood(run: Run, comparison: Comparison) -> list[str]:
    if run.evaluation is None:
        return []
    means = {}
    for step in comparison.steps:
        values = [value for genre in comparison.genres if (value := run.evaluation.bits(step, genre)) is not None]
        if values:
            means[step] = sum(values) / len(values)
    if not means:
        return []
    first, last = min(means), max(means)
    uniform = run.evaluation.uniform
    text = (
        f"On songs it never heard, the network needs {number(means[first])} bits per sample at step {first:,}"
        + (f" and {number(means[last])} at step {last:,}" if last != first else "")
        + f", on average over the genres; guessing needs {uniform:g}."
    )
    below, judged = [], []
    for genre in comparison.genres:
        figure = run.evaluation.of(last, genre, "bits_per_sample")
        markov = run.evaluation.markov.get(genre)
        if figure is None or figure.value is None or markov is None:
            continue
        judged.append(genre)
        if (figure.hi if figure.hi is not None else figure.value) < markov:
            below.append(genre)
    if not judged:
        return [text]
    if len(below) == len(judged):
        compared = "below the first-order Markov model for every genre"
    elif not below:
        compared = "not clearly below the first-order Markov model for any genre"
    else:
        which = f"{listed(below)} ({len(below)} of {plural(len(judged), 'genre')})"
        compared = f"clearly below the first-order Markov model for {which}"
    return [text, f"At step {last:,} it is {compared}."]


def _loss(run: Run, comparison: Comparison) -> list[str]:
    lately = {step: curves.loss_lately(run.view, step) for step in comparison.steps}
    known = {step: loss for step, loss in lately.items() if loss is not None}
    if len(known) < 2:
        return []
    first, last = known[min(known)], known[max(known)]
    if last.high < first.low:
        verb = "fell"
    elif last.low > first.high:
        verb = "rose"
    else:
        return [
            f"The training loss did not clearly change between step {min(known):,} and step {max(known):,}: "
            f"medians of {number(first.median)} and {number(last.median)} nats lie within the spread of the steps."
        ]
    return [
        f"The training loss {verb} from {number(first.median)} nats per sample up to step {min(known):,} "
        f"to {number(last.median)} up to step {max(known):,} (medians of the last {LOSS_WINDOW} steps)."
    ]


def _speed(run: Run, comparison: Comparison) -> list[str]:
    per_step = []
    for step in comparison.steps:
        lengths = [clip.sound.duration_s for clip in run.clips if clip.step == step and clip.sound is not None]
        if step in run.batch_seconds and lengths:
            per_step.append(run.batch_seconds[step] / sum(lengths))
    if not per_step:
        return []
    typical = sorted(per_step)[len(per_step) // 2]
    return [f"One second of sound took {number(typical)} s to generate."]
