"""metrics/evaluate.json as tables for a terminal."""

from rich.table import Table

from src.evaluate.measure import Measure
from src.evaluate.schema import ALL, Detection, Difference, Evaluation, Found

BASELINES = {
    "linear": "linear predictor",
    "markov_genre": "Markov, this genre",
    "markov_pooled": "Markov, all genres",
    "unigram": "unigram",
}
SIGNS = {"better": "*", "worse": "!"}


def bits(evaluation: Evaluation) -> Table:
    """Held-out bits per sample: a row for each step, then the baselines. No row where no checkpoint was scored."""
    genres = evaluation.genres
    table = Table(
        title=f"Held-out bits per sample (guessing: {evaluation.uniform:.2f}); * clearly fewer than the linear "
        "predictor's, ! clearly more"
    )
    table.add_column("step", justify="right")
    for genre in genres:
        table.add_column(genre, justify="right")
    for name in ("less the linear predictor's", "genre accuracy", "own genre saves"):
        table.add_column(name, justify="right")
    for step, row in evaluation.conditioning.items():
        against = evaluation.against[step]["linear"]
        cells = [
            figure(evaluation.bits(step, genre)) + (SIGNS.get(against[genre].verdict, " ") if genre in against else "")
            for genre in genres
        ]
        saved = row.gain[ALL].difference.value
        further = (difference(against[ALL]), share(row.accuracy), figure(None if saved is None else -saved))
        table.add_row(str(step), *cells, *further)
    if table.row_count:
        table.add_section()
        for name, label in BASELINES.items():
            known = [evaluation.baselines.get(genre, {}).get(name) for genre in genres]
            table.add_row(label, *(figure(measure.value if measure else None) + " " for measure in known))
    return table


def figure(value: float | None) -> str:
    """Bits with two decimals."""
    return "–" if value is None else f"{value:.2f}"


def difference(row: Difference) -> str:
    """A difference in bits with its interval, or what it is over where there is none."""
    measure = row.difference
    if measure.value is None:
        return "–"
    if measure.lo is None or measure.hi is None:
        return f"{measure.value:+.2f} ({measure.n} {measure.over})"
    return f"{measure.value:+.2f} ({measure.lo:+.2f} to {measure.hi:+.2f}, {measure.n} {measure.over})"


def share(measure: Measure) -> str:
    """A share with its interval, in percent."""
    if measure.value is None or measure.lo is None or measure.hi is None:
        return "–"
    return f"{measure.value:.0%} ({measure.lo:.0%} to {measure.hi:.0%})"


def detection(found: Detection) -> str:
    """One sentence: what the search for copies can find."""

    def limit(value: float | None, row: tuple[Found, ...]) -> str:
        return f"not even {row[0].at:g}" if value is None else f"{value:g}"

    return (
        f"Of copies of {found.duration_s:g} s ({found.planted} were planted as a trial), nine of ten are found up "
        f"to these changes: level {limit(found.lowest_level_db, found.level_db)} dB, "
        f"{limit(found.lowest_noise_db, found.noise_db)} dB above white noise, "
        f"{limit(found.highest_speed_percent, found.speed_percent)} % faster."
    )
