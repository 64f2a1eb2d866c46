"""Every sentence words a verdict of the evaluation, and no two sentences of a page contradict each other."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from src import config
from src.compare import gathering, network, page, sentences, strips, terminal, two_runs
from src.compare.comparison import Comparison, Run
from src.compare.sentences import Claim, Sentence
from src.evaluate.measure import Measure
from src.evaluate.schema import ALL, BITS, Closed, Difference, Evaluation, Verdict
from src.record import layout
from src.record.runs import Trained
from tests.compare import evaluations, tiny_run
from tests.conftest import ROOT

STEPS = (20, 5020, 10020, 15000)
TURNED: dict[Verdict, Verdict] = {"better": "worse", "worse": "better", "unclear": "unclear", "too few": "too few"}


def contradictions(said: Iterable[Sentence]) -> list[str]:
    """What cannot all be true.

    Two verdicts on the same two things, in either direction; a circle of better ones; and one clear verdict in every
    genre beside another one over all.
    """
    found = []
    known: dict[tuple[str, str, str, str, str], tuple[Verdict, str]] = {}
    better: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for sentence in said:
        for claim in sentence.claims:
            topic = (sentence.run, claim.measure, claim.genre)
            for verdict, ends in (
                (claim.verdict, (claim.before, claim.after)),
                (TURNED[claim.verdict], (claim.after, claim.before)),
            ):
                other, text = known.setdefault((*topic, *ends), (verdict, sentence.text))
                if other != verdict:
                    found.append(f"{claim}: {text!r} says {other}, {sentence.text!r} says {claim.verdict}")
                if verdict == "better":
                    better.setdefault(topic, {}).setdefault(ends[0], set()).add(ends[1])
    for (run, measure, genre, *pair), (whole, text) in known.items():
        if genre == ALL:
            each = [
                verdict
                for (other_run, name, other, *between), (verdict, _) in known.items()
                if [other_run, name, *between] == [run, measure, *pair] and other != ALL
            ]
            if len(each) > 1 and {*each} in ({"better"}, {"worse"}) and whole != each[0]:
                found.append(f"{measure}, {pair}: {text!r} says {whole}, but {each[0]} in every genre")
    return found + [f"{topic}: better and better in a circle" for topic, graph in better.items() if circle(graph)]


def circle(graph: dict[str, set[str]]) -> bool:
    """Whether one of the things is better than itself."""

    def reach(start: str, seen: frozenset[str]) -> bool:
        return any(after in seen or reach(after, seen | {after}) for after in graph.get(start, ()))

    return any(reach(start, frozenset({start})) for start in graph)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A made-up run, whose evaluation the tests replace."""
    root = tiny_run.make(tmp_path_factory.mktemp("sentences") / "project", steps=STEPS, duration_s=0.1)
    return gathering.gather([layout.current(root)], STEPS)


def with_evaluation(compared: Comparison, evaluation: Evaluation) -> Comparison:
    """The comparison with another evaluation."""
    run = type(compared.run)(**{**vars(compared.run), "evaluation": evaluation})
    return type(compared)(**{**vars(compared), "runs": (run,)})


def random_evaluation(seed: int) -> Evaluation:
    """Few and many songs, learning fast, slowly, not at all, and the wrong way; genres alike and unlike."""
    genres = evaluations.GENRES[: 1 + seed % 5]
    learned = (1.0, 0.3, 0.0, -0.4, 1.3)[seed % 5 - 2]
    shares = (0.3, 1.0, 0.15, 0.7, 0.5) if seed % 2 else (1.0,) * 5
    return evaluations.made(
        seed, STEPS, genres, songs=(1, 2, 3, 6)[seed % 4], clips=(1, 3, 10)[seed % 3], learned=learned, shares=shares
    )


@pytest.mark.parametrize("seed", range(60))
def test_no_two_sentences_of_a_page_contradict_each_other(compared: Comparison, seed: int) -> None:
    said = page.all_sentences(with_evaluation(compared, random_evaluation(seed)), None)
    topics = Counter((one.measure, one.genre, one.before, one.after) for sentence in said for one in sentence.claims)
    assert len(topics) > 10
    assert max(topics.values()) > 1, "no two sentences speak of the same thing"
    assert contradictions(said) == []


@pytest.mark.parametrize("seed", range(0, 60, 7))
def test_every_claim_is_a_verdict_of_the_evaluation(compared: Comparison, seed: int) -> None:
    evaluation = random_evaluation(seed)
    checked = 0
    for sentence in page.all_sentences(with_evaluation(compared, evaluation), None):
        for claim in sentence.claims:
            steps = [int(end.removeprefix("step ")) for end in (claim.before, claim.after) if end.startswith("step ")]
            if len(steps) == 2 and claim.measure != "progression":
                change = evaluation.change(steps[0], steps[1], claim.genre, claim.measure)
                assert change is not None
                assert claim.verdict == change.verdict
                checked += 1
            for baseline in ("linear", "markov"):
                if claim.before == baseline:
                    assert claim.verdict == evaluation.against[steps[0]][baseline][claim.genre].verdict
                    checked += 1
    assert checked > 10


def test_a_planted_contradiction_is_found(compared: Comparison) -> None:
    said = page.all_sentences(with_evaluation(compared, random_evaluation(11)), None)
    claim = next(claim for sentence in said for claim in sentence.claims if claim.verdict == "better")
    for verdict in ("worse", "unclear", "too few"):
        planted = Claim(claim.measure, claim.genre, claim.before, claim.after, verdict)
        assert contradictions([*said, Sentence("Planted.", (planted,), "current")])
    turned = Claim(claim.measure, claim.genre, claim.after, claim.before, "better")
    assert contradictions([*said, Sentence("Planted, the other way round.", (turned,), "current")])
    split = [Claim("tempo", genre, "a", "b", "unclear" if genre == ALL else "better") for genre in (ALL, "rock", "hip")]
    assert contradictions([Sentence("Planted in every genre and not over all.", tuple(split))])
    assert not contradictions([Sentence("Of one genre.", tuple(split[:2]))])
    ring = [Claim("tempo", "rock", a, b, "better") for a, b in (("a", "b"), ("b", "c"), ("c", "a"))]
    assert contradictions([Sentence("Planted in a circle.", (one,)) for one in ring])


def test_a_sentence_that_judges_by_itself_is_found(compared: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    right = sentences._sound_verdicts

    def own(*words: object) -> dict[str, Verdict]:
        return {name: TURNED[verdict] for name, verdict in right(*words).items()}  # type: ignore[arg-type]

    monkeypatch.setattr(sentences, "_sound_verdicts", own)
    evaluation = evaluations.made(1, STEPS)
    assert contradictions(page.all_sentences(with_evaluation(compared, evaluation), None))


PHRASES = {
    "better": ("nearer to real music", "better (lower)", "better (higher)", "fewer bits than the linear"),
    "worse": ("farther from real music", "worse (higher)", "worse (lower)", "more bits than the linear"),
    "unclear": ("no clear",),
    "too few": ("too few",),
}


@pytest.mark.parametrize("seed", range(0, 60, 5))
def test_the_words_say_what_the_claims_say(seed: int) -> None:
    evaluation = random_evaluation(seed)
    said = [sentences.change(evaluation, name, 20, 15000) for name in evaluations.SOUND]
    for sentence in [*(one for one in said if one), *sentences.gained_by_genre(evaluation, 15000)]:
        parts = sentence.text.split(": ", 1)[-1].removesuffix(".").split("; ")
        by_genre = [claim for claim in sentence.claims if claim.genre != ALL]
        for claim in by_genre:
            named = (claim.genre, "every genre", "any single genre")
            saying = [part for part in parts if any(name in part for name in named)]
            assert len(saying) == 1, sentence.text
            told = {verdict for verdict, phrases in PHRASES.items() if any(phrase in saying[0] for phrase in phrases)}
            assert told == {claim.verdict}, sentence.text
            assert ("every genre" in saying[0]) <= (claim.verdict in ("better", "worse")), sentence.text


def test_numbers_of_the_headline_are_those_of_the_evaluation() -> None:
    evaluation = random_evaluation(7)
    found = evaluation.against[15000]["linear"][ALL]
    (sentence,) = sentences.gained(evaluation, 15000)
    assert found.difference.value is not None
    assert f"needs {abs(found.difference.value):.2f} bits" in sentence.text
    assert f"{found.difference.n} songs" in sentence.text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("better", "It did not plateau after step 5,020: step 15,000 needs"),
        ("worse", "It got worse after step 5,020"),
        ("unclear", "It may have reached a plateau after step 5,020"),
        ("too few", "Whether it reached a plateau after step 5,020 is open"),
    ],
)
def test_the_plateau_has_a_sentence_for_each_verdict(verdict: Verdict, words: str) -> None:
    evaluation = random_evaluation(7)
    changed = tuple(
        change.model_copy(update={"verdict": verdict}) if change.measure == BITS else change
        for change in evaluation.progress
    )
    said = list(sentences.plateau(evaluation.model_copy(update={"progress": changed}), STEPS))
    assert said[0].text.startswith(words)
    assert said[0].claims == (Claim(BITS, ALL, "step 5020", "step 15000", verdict),)


@pytest.mark.parametrize(
    ("compared", "words", "of_sound"),
    [
        (STEPS, "after step 5,020: step 15,000 needs", True),
        ((20, 15000), "after step 5,020 (not shown here): step 15,000 needs", True),
        ((20, 5020), "after step 5,020: step 15,000 (not shown here) needs", True),
        ((5020, 15000), "after step 5,020: step 15,000 needs", False),
        ((10020, 15000), "after step 5,020 (not shown here): step 15,000 needs", False),
    ],
)
def test_the_plateau_says_what_is_not_on_the_page_and_nothing_that_was_said(
    compared: tuple[int, ...], words: str, of_sound: bool
) -> None:
    said = [one.text for one in sentences.plateau(random_evaluation(7), compared)]
    assert words in said[0]
    assert [text.startswith("After step 5,020, of ") for text in said[1:]] == [True] * of_sound


@pytest.mark.parametrize(
    ("better", "worse", "begins"),
    [
        (5, 0, "There is clear progression towards real music"),
        (3, 2, "There is some progression towards real music"),
        (1, 0, "There is some progression towards real music"),
        (2, 2, "There is no clear progression towards real music"),
        (0, 0, "There is no clear progression towards real music"),
        (1, 3, "The sound moved away from real music"),
    ],
)
def test_progression_follows_from_the_counts(better: int, worse: int, begins: str) -> None:
    evaluation = random_evaluation(7)
    names = list(sentences._sound_verdicts(evaluation, 20, 15000))
    verdicts = dict(zip(names, ["better"] * better + ["worse"] * worse + ["unclear"] * len(names), strict=False))
    changed = tuple(
        change.model_copy(update={"verdict": verdicts.get(change.measure, change.verdict)})
        for change in evaluation.progress
    )
    (sentence,) = sentences.progression(evaluation.model_copy(update={"progress": changed}), 20, 15000)
    assert sentence.text.startswith(begins)
    assert f"of {len(names)} measures" in sentence.text
    assert f"{better or 'none'} clearly came nearer" in sentence.text
    assert f"{worse or 'none'} clearly moved away" in sentence.text


def test_one_song_is_one_song_and_has_no_interval() -> None:
    evaluation = evaluations.made(1, STEPS, ("rock",), songs=1)
    (headline,) = sentences.gained(evaluation, 15000)
    assert "1 song: too few to say more" in headline.text
    assert " to " not in headline.text.split("needs")[1].split("than")[0]


def test_a_measure_whose_noise_looks_like_music_says_so() -> None:
    evaluation = random_evaluation(7)
    every = dict.fromkeys(evaluation.genres, ("rms",))
    said = [one.text for one in sentences.distance_left(evaluation.model_copy(update={"blind": every}), 15000)]
    assert any("white noise already looks like music by it: level." in text for text in said)


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ({ALL: "unclear", "classical": "better", "hardcore": "unclear", "hip": "unclear"},
         "no clear change over all; nearer to real music in classical; no clear change in hardcore and hip."),
        ({ALL: "too few", "classical": "better", "hardcore": "unclear", "hip": "unclear"},
         "too few genres (3) to tell over all; nearer to real music in classical; no clear change in "
         "hardcore and hip."),
        ({ALL: "better", "classical": "better", "hardcore": "better", "hip": "better"},
         "nearer to real music over all and in every genre."),
        ({ALL: "unclear", "classical": "unclear", "hardcore": "unclear", "hip": "unclear"},
         "no clear change over all or in any single genre."),
        ({ALL: "better", "classical": "too few", "hardcore": "too few", "hip": "too few"},
         "nearer to real music over all; too few held-out songs to tell in any single genre."),
        ({ALL: "too few", "classical": "too few", "hardcore": "too few", "hip": "too few"},
         "too few genres (3) to tell over all; too few held-out songs to tell in any single genre."),
    ],
)  # fmt: skip
def test_over_all_and_by_genre_read_as_one(verdicts: dict[str, Verdict], words: str) -> None:
    evaluation = evaluations.made(1, STEPS, evaluations.GENRES[:3], songs=1)
    judged = tuple(
        row.model_copy(update={"verdict": verdicts[row.genre]}) if row.measure == "rms" else row
        for row in evaluation.progress
    )
    sentence = sentences.change(evaluation.model_copy(update={"progress": judged}), "rms", 20, 15000)
    assert sentence is not None
    assert sentence.text == f"Step 20 to 15,000: {words}"


def test_of_one_clip_a_genre_clips_are_what_is_missing() -> None:
    evaluation = evaluations.made(3, STEPS, evaluations.GENRES[:3], clips=1)
    sentence = sentences.change(evaluation, "frechet_logmel", 20, 15000)
    assert sentence is not None
    assert sentence.text.endswith("too few clips to tell in any single genre.")
    (headline,) = sentences.progression(evaluations.made(3, STEPS, ("rock",), clips=1), 20, 15000)
    assert headline.text.startswith("There are too few clips to tell whether the sound came nearer to real music")


def test_the_headline_counts_what_so_few_genres_cannot_tell() -> None:
    evaluation = evaluations.made(9, STEPS, evaluations.GENRES[:3], shares=(1.0, 0.05, 0.0))
    verdicts = list(sentences._sound_verdicts(evaluation, 20, 15000).values())
    (sentence,) = sentences.progression(evaluation, 20, 15000)
    assert verdicts.count("too few") > 0
    assert f"{verdicts.count('too few')} cannot be told from so few genres" in sentence.text
    *_, later = sentences.plateau(evaluation, STEPS)
    assert later.text.startswith("After step 5,020, of ")
    assert " cannot be told from so few genres" in later.text


@pytest.mark.parametrize(
    ("lo", "hi", "says", "begins"),
    [
        (-0.05, 0.05, "unclear", "Its own doubt is about right, to within 0.05 bits: "),
        (0.01, 0.05, "overconfident", "Its own doubt is about right, to within 0.05 bits: "),
        (0.01, 0.051, "overconfident", "It is surer of itself than it should be: "),
        (-0.051, -0.01, "underconfident", "It is less sure of itself than it could be: "),
        (-0.01, 0.73, "unclear", "Whether its own doubt is right cannot be told: "),
        (None, None, "too few", "There are too few songs to judge its own doubt: "),
    ],
)
def test_a_doubt_is_right_only_within_its_margin(lo: float | None, hi: float | None, says: str, begins: str) -> None:
    evaluation = random_evaluation(7)
    value = 0.02 if lo is None or hi is None else (lo + hi) / 2
    row = evaluation.calibration[15000][ALL]
    row = row.model_copy(update={"excess": Measure(value, "bits", 4, "songs", lo, hi), "says": says})
    changed = evaluation.model_copy(update={"calibration": {15000: {ALL: row}}})
    (said,) = [one.text for one in network.findings(changed, 15000) if "it expects to need" in one.text]
    assert said.startswith(begins)
    if begins.startswith("Whether"):
        assert said.endswith(" (0.36 more; 0.73 more to 0.01 fewer, 4 songs).")


@pytest.mark.parametrize(
    ("difference", "verdict", "sentence", "table"),
    [
        ((0.01, -0.33, 0.36), "unclear", "(0.01 more; 0.36 more to 0.33 fewer, 4 songs)", ("−0.01", "−0.36 to 0.33")),
        ((-0.12, -0.91, 0.67), "unclear", "(0.12 fewer; 0.67 more to 0.91 fewer, 4 songs)", ("0.12", "−0.67 to 0.91")),
        ((-0.3, -0.35, -0.25), "better", "0.30 bits fewer", ("0.30", "0.25 to 0.35")),
        ((2.8, 2.0, 3.6), "worse", "2.80 bits more", ("−2.80", "−3.60 to −2.00")),
    ],
)
def test_the_sentence_and_the_table_go_in_one_direction(
    difference: tuple[float, float, float], verdict: Verdict, sentence: str, table: tuple[str, str]
) -> None:
    value, lo, hi = difference
    found = Difference(difference=Measure(value, "bits", 4, "songs", lo, hi), verdict=verdict)
    evaluation = random_evaluation(7).model_copy(update={"against": {20: {"linear": {ALL: found}}}})
    (headline,) = sentences.gained(evaluation, 20)
    assert sentence in headline.text
    row = strips.bits_row(evaluation, 20, ALL)
    assert row is not None
    assert row[1] == table


def test_lines_of_the_terminal_end_between_words() -> None:
    text = "word " * 40 + "a-path/that/is/very/long/" * 4
    lines = terminal.wrapped(text).splitlines()
    assert all(len(line) <= 80 for line in lines[:-1])
    assert " ".join(lines).split() == text.split()


def test_the_terminal_fits_80_columns_and_cuts_nothing(compared: Comparison, tmp_path: Path) -> None:
    from rich.console import Console

    long = evaluations.made(3, STEPS, ("drum and bass, jungle", "rock"), songs=6)
    comparison = with_evaluation(compared, long)
    comparison = type(compared)(**{**vars(comparison), "genres": ("drum and bass, jungle", "rock")})
    with (tmp_path / "out").open("w") as file:
        for table in terminal.tables(comparison):
            Console(width=80, file=file).print(table)
    printed = (tmp_path / "out").read_text()
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert "15,000" in printed
    assert {"drum", "and", "bass,", "jungle"} <= {*printed.split()}
    with (tmp_path / "five").open("w") as file:
        Console(width=80, file=file).print(terminal.prediction(compared, compared.run))
    assert {*evaluations.GENRES} <= {*(tmp_path / "five").read_text().split()}


def test_two_runs_are_compared_song_by_song() -> None:
    one, other = evaluations.made(1, (20, 300)), evaluations.made(1, (20, 300), learned=0.8)
    (said,) = two_runs.beside(one, other, 300, ("this study", "wide"), same_clips=True)
    assert said.text.startswith("On the same held-out songs, step 300 of this study needs ")
    assert " bits fewer for each sample than step 300 of wide (" in said.text
    assert "fewer in 20 of 20" in said.text
    by_hand = [
        (a.network[300] - a.linear) - (b.network[300] - b.linear)
        for genre in one.genres
        for a, b in zip(one.songs[genre], other.songs[genre], strict=True)
    ]
    assert f" {-sum(by_hand) / len(by_hand):.2f} bits fewer" in said.text
    assert {claim.verdict for claim in said.claims if claim.genre == "all"} == {"better"}
    (turned,) = two_runs.beside(other, one, 300, ("wide", "this study"), same_clips=True)
    assert "bits more for each sample than step 300 of this study" in turned.text
    (same,) = two_runs.beside(one, one, 300, ("a", "b"), same_clips=True)
    assert "neither clearly fewer nor clearly more" in same.text
    assert list(two_runs.beside(one, other, 7, ("a", "b"), same_clips=True)) == []


def test_songs_that_two_runs_have_in_common_are_known_by_the_linear_predictor() -> None:
    one, other = evaluations.made(1, (20, 300)), evaluations.made(1, (20, 300), learned=0.8)
    fewer = {genre: songs[::-1][: 3 if genre == "rock" else 9] for genre, songs in other.songs.items()}
    (said,) = two_runs.beside(one, other.model_copy(update={"songs": fewer}), 300, ("a", "b"), same_clips=False)
    pairs = [(a, b) for genre, songs in fewer.items() for b in songs for a in one.songs[genre] if a.linear == b.linear]
    mean = sum((a.network[300] - a.linear) - (b.network[300] - b.linear) for a, b in pairs) / len(pairs)
    assert f" {-mean:.2f} bits fewer" in said.text
    assert f"{len(pairs)} songs" in said.text
    others = {genre: [song.model_copy(update={"linear": 9.0}) for song in songs] for genre, songs in fewer.items()}
    strangers = other.model_copy(update={"songs": others})
    assert not list(two_runs.beside(one, strangers, 300, ("a", "b"), same_clips=False))


def test_what_two_runs_differ_in_is_said_of_both() -> None:
    params = config.load(ROOT, profile="demo")
    train = params.profile.train.model_copy(update={"learning_rate": 0.25})
    changed = params.model_copy(update={"profile": params.profile.model_copy(update={"train": train})})

    def run(label: str, params: config.Params, clips: str) -> Run:
        return cast(Run, SimpleNamespace(label=label, trained=Trained(clips=clips, code="0", params=params)))

    one, other = run("this study", params, "0"), run("wide", changed, "1")
    (said,) = two_runs.differ(one, other)
    rate = params.profile.train.learning_rate
    assert said.text == f"This study has lr {rate:g}; wide has lr 0.25; they have other clips."
    assert [*two_runs.differ(one, cast(Run, SimpleNamespace(label="2019", trained=None)))] == []


def test_a_plateau_of_genres_that_part_says_so() -> None:
    whole = evaluations.made(1, (20, 120, 300))

    def parted(better: int) -> Evaluation:
        rows = []
        for row in whole.progress:
            if (row.from_step, row.to_step, row.measure) == (120, 300, "bits_per_sample"):
                ways = {"all": None, "rock": row.change.n, "hip": 0, "metal": better}
                row = row.model_copy(update={"verdict": "unclear", "favourable": ways.get(row.genre, 1)})
            rows.append(row)
        return whole.model_copy(update={"progress": tuple(rows)})

    said = next(sentences.plateau(parted(1), (20, 300))).text
    n = whole.change(120, 300, "rock", "bits_per_sample").change.n  # type: ignore[union-attr]
    assert said.endswith(f"Genres part here: every song needs fewer bits of rock ({n} songs), more of hip ({n} songs).")
    assert "more of hip" in said
    assert "metal (" in next(sentences.plateau(parted(0), (20, 300))).text
    assert "part here" not in next(sentences.plateau(whole, (20, 300))).text


def test_the_terminal_says_what_is_off_the_way_from_noise_to_music() -> None:
    evaluation = evaluations.made(1, (20, 300))
    placed, captions = [], []
    for share, side in ((0.4, "short"), (0.0, "wrong way"), (0.87, "beyond")):
        row = Closed(share=Measure(share, "share", 5, "genres"), side=side)
        closed = {300: {ALL: {"rms": row}}}
        run = SimpleNamespace(evaluation=evaluation.model_copy(update={"closed": closed}), name="current", label="")
        compared = cast(Comparison, SimpleNamespace(steps=(300,), name=lambda _: ""))
        table = terminal.sound(compared, cast(Run, run))
        placed.append(next(iter(table.columns[1].cells)))
        captions.append(table.caption)
    assert placed == ["40 %  ", "< 0 %  ", "87 % +"]
    assert captions == [None, None, terminal.PAST]
