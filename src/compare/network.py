"""What is said of one step's network by itself: what it learned by heart, its own doubt, what it may have copied.

In: the measures (`evaluate/schema.py`). Out: sentences for the page. Pure.
"""

from collections.abc import Iterator

from src.base.console import listed
from src.compare.sentences import Claim, Sentence, fewer, in_brackets, of_genres
from src.compare.words import bits
from src.evaluate.schema import ALL, BITS, Calibration, Detection, Evaluation, Verdict

DOUBT_BITS = 0.05
"""A network whose expectation is no farther than this from what it needs doubts about right."""


def findings(evaluation: Evaluation, step: int) -> Iterator[Sentence]:
    """What else the last step's measures say: genre, training songs, its own doubt, copies."""
    table = evaluation.conditioning.get(step)
    if table is not None and ALL in table.gain and len(evaluation.genres) > 1:
        needs = fewer(table.gain[ALL], "than told another")
        claim = Claim(BITS, ALL, "another genre", "its genre", table.gain[ALL].verdict)
        yield Sentence(f"Told the song's genre, the network of step {step:,} needs {needs}.", (claim,))
    gaps = evaluation.generalisation.get(step, {})
    by_genre = {genre: gaps[genre].gap.verdict for genre in evaluation.genres if genre in gaps}
    if by_genre:
        words: dict[Verdict, str] = {
            "better": "held-out songs need fewer bits than training songs in",
            "worse": "held-out songs need more bits than training songs in",
            "unclear": "there is no clear gap between held-out and training songs in",
            "too few": "there are too few songs to compare held-out with training songs in",
        }
        begin = f"At step {step:,}, counted from what the linear predictor needs,"
        yield of_genres(begin, by_genre, words, evaluation, "training", "held-out")
    if (doubt := evaluation.calibration.get(step, {}).get(ALL)) is not None and doubt.excess.value is not None:
        yield _doubt(doubt)
    yield from _copying(evaluation, step)


def _doubt(found: Calibration) -> Sentence:
    """Whether what the network expects to need is what it needs: about right only if the whole interval is near 0."""
    excess = found.excess
    says = {
        "overconfident": "It is surer of itself than it should be",
        "underconfident": "It is less sure of itself than it could be",
        "unclear": "Whether its own doubt is right cannot be told",
        "too few": "There are too few songs to judge its own doubt",
    }[found.says]
    if excess.lo is not None and excess.hi is not None and max(-excess.lo, excess.hi) <= DOUBT_BITS:
        says = f"Its own doubt is about right, to within {DOUBT_BITS} bits"
    value, expected, needed = excess.value or 0.0, found.entropy.value or 0.0, found.cost.value or 0.0
    apart = f"{bits(abs(value))} {'fewer' if value < 0 else 'more'}; {in_brackets(excess)}"
    return Sentence(
        f"{says}: it expects to need {bits(expected)} bits for a sample and needs {bits(needed)} ({apart})."
    )


def _copying(evaluation: Evaluation, step: int) -> Iterator[Sentence]:
    rows = {genre: row for genre, row in evaluation.copying.get(step, {}).items() if row.beyond_held_out is not None}
    hints = [f"{genre} ({row.longest_s:.1f} s)" for genre, row in rows.items() if row.beyond_held_out]
    if hints:
        what = "its clips share longer stretches with training songs than held-out songs do"
        yield Sentence(f"It may copy: {what}, in {listed(hints)}.")
    elif rows:
        yield Sentence(f"No clip of step {step:,} shares a longer stretch with a training song than held-out songs do.")
    if evaluation.detection is not None and rows:
        yield Sentence(detection(evaluation.detection))


def detection(found: Detection) -> str:
    """One sentence: what the search for copies can find."""
    changes = (
        ("made up to {} dB quieter", found.level_db, found.lowest_level_db),
        ("mixed with white noise at least {} dB below them", found.noise_db, found.lowest_noise_db),
        ("played up to {} % faster", found.speed_percent, found.highest_speed_percent),
    )
    finds = [text.format(f"{abs(limit):g}") for text, _, limit in changes if limit is not None]
    fails = [text.format(f"{abs(row[0].at):g}") for text, row, limit in changes if limit is None]
    enough, less = ("all", "not all") if found.planted < 10 else ("nine of ten or more", "fewer than nine of ten")
    said = [f"it found {enough} of those that were {', or '.join(finds)}"] if finds else []
    said += [f"it found {less} of those that were {', or '.join(fails)}"] if fails else []
    return (
        f"The search for copies was tried on {found.planted} stretches of {found.duration_s:g} s of training songs, "
        f"hidden for it to find: {', and '.join(said)}."
    )
