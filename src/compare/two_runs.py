"""What two runs say of each other: what they differ in, and which predicts better on the songs that both held out.

In: what is known and measured of both. Out: sentences. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence

from src.base.console import listed
from src.compare.comparison import Run
from src.compare.sentences import Claim, Sentence, by_verdict, fewer
from src.compare.words import capital
from src.evaluate.schema import ALL, BITS, Evaluation, SongBits, Verdict


def differ(one: Run, other: Run) -> Iterator[Sentence]:
    """What decides their trainings and is not the same; nothing if that is not known of both."""
    if not one.trained or not other.trained:
        return
    ours, theirs = one.trained.differences(other.trained), other.trained.differences(one.trained)
    both = [each for each in ours if each in theirs]  # "other clips" is said of either
    parts = [
        f"{run.label} has {listed(own)}"
        for run, said in ((one, ours), (other, theirs))
        if (own := [each for each in said if each not in both])
    ]
    parts += [f"they have {listed(both)}"] if both else []
    if parts:
        yield Sentence(f"{capital('; '.join(parts))}.")


def better(one: Run, other: Run, step: int) -> Iterator[Sentence]:
    """Which of the two needs fewer bits at this step, if both were measured."""
    if one.evaluation is not None and other.evaluation is not None:
        same = bool(one.digest) and one.digest == other.digest
        yield from beside(one.evaluation, other.evaluation, step, (one.label, other.label), same_clips=same)


def beside(
    one: Evaluation, other: Evaluation, step: int, names: tuple[str, str], *, same_clips: bool
) -> Iterator[Sentence]:
    """The bits of two runs on the songs that both held out, song by song; nothing if there is none, or no such step.

    same_clips: whether they have all clips in common, so that their songs stand in the same order. Counted from the
    linear predictor on the same samples: networks that see farther back score other samples of a song.
    """
    rows = {
        genre: [
            (mine.network[step] - mine.linear) - (theirs.network[step] - theirs.linear)
            for mine, theirs in _pairs(songs, other.songs.get(genre, ()), same_clips=same_clips)
            if step in mine.network and step in theirs.network
        ]
        for genre, songs in one.songs.items()
    }
    rows = {genre: values for genre, values in rows.items() if values}
    if not rows:
        return
    from src.evaluate import intervals  # scipy takes a while to load

    whole = {ALL: [value for values in rows.values() for value in values]} if len(rows) > 1 else {}
    found = intervals.differences(rows | whole, -1, "bits")
    mine, theirs = (f"step {step:,} of {name}" for name in names)
    claims = tuple(Claim(BITS, genre, theirs, mine, row.verdict) for genre, row in found.items())
    overall = found.pop(ALL, next(iter(found.values())))
    text = f"On the same held-out songs, {mine} needs {fewer(overall, f'than {theirs}')}"
    words: dict[Verdict, str] = {
        "better": "fewer in",
        "worse": "more in",
        "unclear": "no clear difference in",
        "too few": "too few songs to tell in",
    }
    by_genre = {genre: row.verdict for genre, row in found.items()}
    yield Sentence(f"{text}. {capital(by_verdict(by_genre, words, one))}.", claims)


def _pairs(
    ours: Sequence[SongBits], theirs: Sequence[SongBits], *, same_clips: bool
) -> Iterable[tuple[SongBits, SongBits]]:
    """Songs that are the same in two runs.

    Nothing names a song. But the linear predictor has learned nothing, and needs as many bits for the same samples in
    any run: by that a song is known again.
    """
    if same_clips:
        return zip(ours, theirs, strict=False)
    known = {(song.samples, song.linear): song for song in theirs}
    return [(song, known[song.samples, song.linear]) for song in ours if (song.samples, song.linear) in known]
