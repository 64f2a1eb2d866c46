"""What the verdicts of src/evaluate say, in plain words.

In: an `Evaluation`, whose verdicts are worded here and decided nowhere else. Out: `Sentence`s for the page and the
terminal. Each carries the claims it makes, so that a test can hold all sentences of a page against each other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from src.base.console import listed, plural
from src.compare.words import bits, number, over, percent, spread
from src.evaluate import catalogue
from src.evaluate.measure import Measure
from src.evaluate.schema import ALL, BITS, Closed, Difference, Evaluation, Verdict
from src.evaluate.seeds import Seeds

LINEAR = "an adaptive linear predictor, which has learned nothing"
MARKOV = "a first-order Markov model, which knows only the sample before"
SOUND = ("distance", "sound", "rhythm and pitch", "within the clip")
"""Groups of the catalogue that are measured on what was generated."""
NEARER: dict[str, dict[Verdict, str]] = {
    "closer to real": {"better": "nearer to real music", "worse": "farther from real music"},
    "lower": {"better": "better (lower)", "worse": "worse (higher)"},
    "higher": {"better": "better (higher)", "worse": "worse (lower)"},
}
MOST_LUCK = 3
"""A change of more than so many standard deviations over training seeds is not the luck of one."""


@dataclass(frozen=True)
class Claim:
    """`after` is better or worse than `before` by one measure, or it is not known which."""

    measure: str
    genre: str
    before: str
    """A step (`step 20`), a baseline, or noise."""
    after: str
    verdict: Verdict


@dataclass(frozen=True)
class Sentence:
    """A sentence and what it claims."""

    text: str
    claims: tuple[Claim, ...] = ()
    run: str = ""
    """The run it is about, where there are two."""

    def of(self, run: str) -> "Sentence":
        """The same, about this run."""
        return Sentence(self.text, self.claims, run)


def progression(evaluation: Evaluation, first: int, last: int) -> Iterator[Sentence]:
    """Whether the sound came nearer to real music, by the changes of all its measures; nothing if none was compared."""
    verdicts = _sound_verdicts(evaluation, first, last)
    if not verdicts:
        return
    better, worse, few = (_where(verdicts, verdict) for verdict in ("better", "worse", "too few"))
    overall: Verdict = "unclear"
    if better and not worse and 2 * len(better) >= len(verdicts):
        text, overall = "There is clear progression towards real music", "better"
    elif len(better) > len(worse):
        text, overall = "There is some progression towards real music", "better"
    elif len(worse) > len(better):
        text, overall = "The sound moved away from real music", "worse"
    elif len(few) == len(verdicts):
        lacking = _lacking(evaluation, first, last, ((name, _whole(evaluation)) for name in few))
        text = f"There are too few {lacking} to tell whether the sound came nearer to real music"
    else:
        text = "There is no clear progression towards real music"
    yield Sentence(
        f"{text} from step {first:,} to step {last:,}: of {plural(len(verdicts), 'measure')} of its "
        f"sound{', averaged over the genres,' if len(evaluation.genres) > 1 else ','} "
        f"{_counts(evaluation, verdicts, first, last)}.",
        (
            Claim("progression", ALL, _step(first), _step(last), overall),
            *_claims(_whole(evaluation), verdicts, first, last),
        ),
    )


def _counts(evaluation: Evaluation, verdicts: Mapping[str, Verdict], first: int, last: int) -> str:
    """How many measures of the sound came nearer, moved away, did neither."""
    better, worse, same, few = (_where(verdicts, verdict) for verdict in ("better", "worse", "unclear", "too few"))
    lacking = _lacking(evaluation, first, last, ((name, _whole(evaluation)) for name in few))
    counts = [_counted(better, "clearly came nearer"), _counted(worse, "clearly moved away")]
    counts += [f"{len(same)} did not clearly change"] if same else []
    counts += [f"{len(few)} cannot be told from so few {lacking}"] if few else []
    return listed(counts)


def _lacking(evaluation: Evaluation, first: int, last: int, rows: Iterable[tuple[str, str]]) -> str:
    """Genres, clips or held-out songs: what these (measure, genre) have too few of for a verdict."""
    changes = [found.change for name, genre in rows if (found := evaluation.change(first, last, genre, name))]
    # Clips that are enough have an interval; what is missing then are songs to hold them against.
    units = {"held-out songs" if one.over == "clips" and one.lo is not None else one.over for one in changes}
    return " or ".join(sorted(units))


def _counted(names: Sequence[str], did: str) -> str:
    """2 moved away (tempo, level): the measures themselves only where they are few."""
    few = f" ({', '.join(map(_label, names))})" if 0 < len(names) <= 3 else ""
    return f"{len(names) or 'none'} {did}{few}"


def _sound_verdicts(evaluation: Evaluation, first: int, last: int) -> dict[str, Verdict]:
    """Measure of the sound → verdict over all genres, of those that were compared and can tell music from noise."""
    found = {}
    for name, entry in catalogue.BY_NAME.items():
        change = evaluation.change(first, last, _whole(evaluation), name)
        if change is not None and change.verdict is not None and entry.group in SOUND and not _blind(evaluation, name):
            found[name] = change.verdict
    return found


def _blind(evaluation: Evaluation, name: str) -> bool:
    """Whether white noise looks like music by this measure in every genre."""
    genres = [genre for genre in evaluation.genres if evaluation.reference("real", genre, name)]
    return bool(genres) and all(name in evaluation.blind.get(genre, ()) for genre in genres)


def _whole(evaluation: Evaluation) -> str:
    """What stands for all genres in measures of the sound: of a single genre, itself."""
    return ALL if len(evaluation.genres) > 1 else evaluation.genres[0]


def _claims(genre: str, verdicts: Mapping[str, Verdict], first: int, last: int) -> Iterable[Claim]:
    return (Claim(name, genre, _step(first), _step(last), verdict) for name, verdict in verdicts.items())


def luck(seeds: Seeds, first: int) -> Iterator[Sentence]:
    """How large the change since the first step is beside what trainings of other seeds differ by."""
    found, count = seeds.row(BITS), len(seeds.fingerprints)
    times = found.in_spreads(first) if found else None
    if found is None or times is None or seeds.step <= first:
        return
    sound = [row for row in seeds.rows if row.measure != BITS and first in row.changes]
    beyond = sum((row.in_spreads(first) or 0) > MOST_LUCK for row in sound)
    text = (
        f"Over {count} training seeds the bits of step {seeds.step:,} vary by {number(found.spread, 2)} (standard "
        f"deviation); the change since step {first:,} is {times:,.0f} times that"
    )
    measures = plural(len(sound), "measure")
    also = f", and {beyond} of {measures} of its sound changed by more than {MOST_LUCK} times theirs" if sound else ""
    yield Sentence(f"{text}{also}.")


def gained(evaluation: Evaluation, step: int) -> Iterator[Sentence]:
    """The headline: the network against the linear predictor, over all held-out songs."""
    found = evaluation.against.get(step, {}).get("linear", {}).get(ALL)
    if found is not None and found.difference.value is not None:
        yield _against(found, step, "linear", LINEAR)


def gained_by_genre(evaluation: Evaluation, step: int) -> Iterator[Sentence]:
    """The same by genre, and against the floor."""
    rows = evaluation.against.get(step, {})
    linear, markov = rows.get("linear", {}), rows.get("markov", {}).get(ALL)
    by_genre = {genre: linear[genre].verdict for genre in evaluation.genres if genre in linear}
    if by_genre:
        words: dict[Verdict, str] = {
            "better": "the network needs fewer bits than the linear predictor in",
            "worse": "the network needs more bits than the linear predictor in",
            "unclear": "there is no clear difference between the network and the linear predictor in",
            "too few": "there are too few songs to compare the network with the linear predictor in",
        }  # fmt: skip
        yield of_genres(f"At step {step:,}", by_genre, words, evaluation, "linear", _step(step))
    if markov is not None and markov.difference.value is not None:
        yield _against(markov, step, "markov", f"the floor, {MARKOV}")


def _against(found: Difference, step: int, baseline: str, label: str) -> Sentence:
    text = f"On songs it never heard, the network of step {step:,} needs {fewer(found, 'than ' + label)}."
    return Sentence(text, (Claim(BITS, ALL, baseline, _step(step), found.verdict),))


def fewer(found: Difference, than: str) -> str:
    """0.30 bits fewer for each sample than …, with the interval and what it is over, as far as the verdict goes."""
    value = found.difference.value or 0.0
    amount, within = bits(abs(value)), in_brackets(found.difference)
    more = "fewer" if value < 0 else "more"
    if found.verdict in ("better", "worse"):
        paired = "" if found.favourable is None else f"; fewer in {found.favourable} of {found.difference.n}"
        return f"{amount} bits {more} for each sample {than} ({within}{paired})"
    if found.verdict == "unclear":
        return f"neither clearly fewer nor clearly more bits for each sample {than} ({amount} {more}; {within})"
    return f"{amount} bits {more} for each sample {than}; {over(found.difference)}: too few to say more"


def in_brackets(difference: Measure) -> str:
    """The interval of bits more or fewer in one direction, whatever its middle: 0.36 more to 0.33 fewer, 4 songs."""
    lo, hi = difference.lo, difference.hi
    if lo is not None and hi is not None and lo < 0 < hi:
        return f"{bits(hi)} more to {bits(-lo)} fewer, {over(difference)}"
    return spread(difference, bits, -1 if (difference.value or 0.0) < 0 else 1)


def _apart(evaluation: Evaluation, first: int, last: int) -> str:
    """Where every song of a genre went one way and every song of another the other: the mean of all hides it."""
    ways: dict[str, list[str]] = {"fewer": [], "more": []}
    for genre in evaluation.genres:
        found = evaluation.change(first, last, genre, BITS)
        if found is None or found.favourable not in (0, found.change.n) or not found.change.n:
            continue
        ways["more" if found.favourable == 0 else "fewer"].append(f"{genre} ({over(found.change)})")
    if not all(ways.values()):
        return ""
    return f" Genres part here: every song needs fewer bits of {listed(ways['fewer'])}, more of {listed(ways['more'])}."


def plateau(evaluation: Evaluation, compared: Sequence[int]) -> Iterator[Sentence]:
    """Whether it went on improving from the second measured step to the last, in bits and in sound.

    Of the sound only where the first compared step is an earlier one: else the progression has said it.
    """
    steps = sorted({*evaluation.against, *evaluation.steps})
    if len(steps) < 3:
        return
    second, last = steps[1], steps[-1]
    absent = {step: "" if step in compared else " (not shown here)" for step in (second, last)}
    change = evaluation.change(second, last, ALL, BITS)
    if change is not None and change.verdict is not None:
        after = f"after step {second:,}{absent[second]}"
        begin = {
            "better": f"It did not plateau {after}", "worse": f"It got worse {after}",
            "unclear": f"It may have reached a plateau {after}",
            "too few": f"Whether it reached a plateau {after} is open",
        }[change.verdict]  # fmt: skip
        claim = Claim(BITS, ALL, _step(second), _step(last), change.verdict)
        found = Difference(difference=change.change, verdict=change.verdict, favourable=change.favourable)
        needs = fewer(found, f"than step {second:,}")
        apart = "" if change.verdict in ("better", "worse") else _apart(evaluation, second, last)
        yield Sentence(f"{begin}: step {last:,}{absent[last]} needs {needs}.{apart}", (claim,))
    verdicts = _sound_verdicts(evaluation, second, last)
    if verdicts and compared[0] < second:
        yield Sentence(
            f"After step {second:,}, of {plural(len(verdicts), 'measure')} of its sound, "
            f"{_counts(evaluation, verdicts, second, last)}.",
            tuple(_claims(_whole(evaluation), verdicts, second, last)),
        )


def distance_left(evaluation: Evaluation, step: int) -> Iterator[Sentence]:
    """How much of the way from white noise to held-out songs the sound of a step has gone."""
    rows = evaluation.closed.get(step, {})
    shares = {
        name: row.share.value for name, row in rows.get(_whole(evaluation), {}).items() if row.share.value is not None
    }
    if shares:
        low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        yield Sentence(
            f"On the way from white noise (0 %) to held-out songs (100 %), the sound of step {step:,} is between "
            f"{percent(shares[low])} ({_label(low)}) and {percent(shares[high])} ({_label(high)}); the middle one of "
            f"{plural(len(shares), 'measure')} says {percent(median(shares.values()))}."
        )
    wrong = {
        name: [
            genre for genre in evaluation.genres if (row := rows.get(genre, {}).get(name)) and row.side == "wrong way"
        ]
        for name in catalogue.BY_NAME
    }
    if any(wrong.values()):
        named = "; ".join(f"{_label(name)} in {_genres(found, evaluation)}" for name, found in wrong.items() if found)
        claims = tuple(Claim(name, genre, "noise", _step(step), "worse") for name in wrong for genre in wrong[name])
        yield Sentence(f"It is farther from real music than white noise is by {named}.", claims)
    blind = [name for name in catalogue.BY_NAME if _blind(evaluation, name)]
    if blind and shares:
        yield Sentence(
            f"{plural(len(blind), 'further measure')} cannot tell, because white noise already looks like music by "
            f"{'it' if len(blind) == 1 else 'them'}: {listed([_label(name) for name in blind])}."
        )


def change(evaluation: Evaluation, name: str, first: int, last: int) -> Sentence | None:
    """A measure from one step to another, over all genres and in each that it can tell from noise; None if in none."""
    verdicts = {
        genre: found.verdict
        for genre in (ALL, *evaluation.genres)
        if (found := evaluation.change(first, last, genre, name)) is not None
        and found.verdict is not None
        and not (_blind(evaluation, name) if genre == ALL else name in evaluation.blind.get(genre, ()))
    }
    if not verdicts:
        return None
    better = catalogue.BY_NAME[name].better if name in catalogue.BY_NAME else "closer to real"
    claims = tuple(Claim(name, genre, _step(first), _step(last), verdict) for genre, verdict in verdicts.items())
    over_all = verdicts.pop(ALL, None)
    lacking = _lacking(evaluation, first, last, ((name, genre) for genre in _where(verdicts, "too few")))
    words: dict[Verdict, str] = {
        **NEARER[better],
        "unclear": "no clear change",
        "too few": f"too few {lacking} to tell",
    }
    said = []
    if over_all and len(verdicts) != 1:  # a genre that is the only one says it itself
        units = f"genres ({len(verdicts)})" if verdicts else "songs"
        whole = f"too few {units} to tell" if over_all == "too few" else words[over_all]
        said = [f"{whole} over all"]
    if over_all and {*verdicts.values()} == {over_all} != {"too few"} and len(verdicts) == len(evaluation.genres) > 1:
        both = "or in any single genre" if over_all == "unclear" else "and in every genre"
        said = [f"{words[over_all]} over all {both}"]
    elif verdicts:
        said.append(by_verdict(verdicts, {verdict: f"{word} in" for verdict, word in words.items()}, evaluation))
    return Sentence(f"Step {first:,} to {last:,}: {'; '.join(said)}.", claims)


def side(row: Closed) -> str:
    """How near a step has come to music, and from where if it is not on the way from noise."""
    share = percent(row.share.value or 0.0)
    if row.side == "wrong way":
        return "beyond noise"
    return f"beyond music, {share}" if row.side == "beyond" and share != "100 %" else share


def of_genres(
    begin: str,
    verdicts: Mapping[str, Verdict],
    words: Mapping[Verdict, str],
    evaluation: Evaluation,
    before: str,
    after: str,
) -> Sentence:
    """A sentence that says of each genre whether `after` needs fewer bits than `before`."""
    claims = tuple(Claim(BITS, genre, before, after, verdict) for genre, verdict in verdicts.items())
    return Sentence(f"{begin} {by_verdict(verdicts, words, evaluation)}.", claims)


def by_verdict(verdicts: Mapping[str, Verdict], words: Mapping[Verdict, str], evaluation: Evaluation) -> str:
    """fewer in a and b; no clear difference in c: the genres of each verdict together."""
    found = {verdict: _where(verdicts, verdict) for verdict in words}
    every: dict[Verdict, str] = {"better": "every genre", "worse": "every genre"}
    return "; ".join(
        f"{words[verdict]} {_genres(genres, evaluation, every.get(verdict, 'any single genre'))}"
        for verdict, genres in found.items()
        if genres
    )


def _genres(genres: Sequence[str], evaluation: Evaluation, every: str = "every genre") -> str:
    """a and b; `every` where it is all of them."""
    return every if len(genres) == len(evaluation.genres) > 1 else listed(genres)


def _where(verdicts: Mapping[str, Verdict], verdict: str) -> list[str]:
    return [name for name, found in verdicts.items() if found == verdict]


def _label(name: str) -> str:
    """The measure's label within a sentence, where a comma would end it."""
    entry = catalogue.BY_NAME.get(name)
    text = entry.label.partition(" (")[0].replace(", ", " in ") if entry else name.replace("_", " ")
    return text if text.startswith("Fréchet") else text[:1].lower() + text[1:]


def _step(step: int) -> str:
    return f"step {step}"
