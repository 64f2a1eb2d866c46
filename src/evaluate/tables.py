"""metrics/evaluate.json as tables for a terminal."""

from rich.table import Table

from src.evaluate import catalogue
from src.evaluate.measure import Measure
from src.evaluate.schema import Evaluation, Reference, StepRow

SHOWN = (
    "spectral_flatness",
    "rms",
    "code_entropy",
    "conditional_entropy",
    "onset_rate",
    "tonal_clarity",
    "frechet_logmel",
)
"""Sound measures printed; the file has them all."""
BASELINES = {"markov_genre": "Markov, this genre", "markov_pooled": "Markov, all genres", "unigram": "unigram"}


def bits(evaluation: Evaluation) -> Table:
    """Held-out bits per sample: a row for each step, then the baselines. No row where no checkpoint was scored."""
    genres = evaluation.genres
    table = Table(
        title=f"Held-out bits per sample (uniform {evaluation.uniform:.2f}; * below the stronger Markov model)"
    )
    table.add_column("step", justify="right")
    for genre in genres:
        table.add_column(genre, justify="right")
    table.add_column("genre accuracy (95 % interval)", justify="right")
    for step, row in evaluation.conditioning.items():
        cells = [bits_cell(evaluation.steps[step].get(genre)) for genre in genres]
        table.add_row(str(step), *cells, share_cell(row.accuracy))
    if table.row_count:
        table.add_section()
        for name, label in BASELINES.items():
            baselines = [evaluation.baselines.get(genre, {}).get(name) for genre in genres]
            values = [measure.value if measure else None for measure in baselines]
            table.add_row(label, *("–" if value is None else f"{value:.2f} " for value in values), "")
    return table


def bits_cell(row: StepRow | None) -> str:
    """A figure of the table; a star where it is below the stronger Markov model."""
    if row is None or row.bits_per_sample is None:
        return "–"
    return f"{row.bits_per_sample:.2f}{'*' if row.below_markov else ' '}"


def share_cell(share: Measure) -> str:
    """A share with its interval, in percent."""
    if share.value is None or share.lo is None or share.hi is None:
        return "–"
    return f"{share.value:.0%} ({share.lo:.0%} to {share.hi:.0%})"


def sound(evaluation: Evaluation) -> Table:
    """A few sound measures of the first and the last step between held-out songs and white noise."""
    table = Table(title="Sound of the generations")
    for name in ("genre", "what", *(catalogue.BY_NAME[name].label for name in SHOWN)):
        table.add_column(name, justify="left" if name in ("genre", "what") else "right")
    steps = [step for step, rows in evaluation.steps.items() if any("rms" in row.measures for row in rows.values())]
    for genre in evaluation.genres if steps else []:
        rows: list[tuple[str, Reference | StepRow | None]] = [
            ("held-out songs", evaluation.references.get("real", {}).get(genre))
        ]
        rows += [(f"step {step}", evaluation.steps[step].get(genre)) for step in dict.fromkeys((steps[-1], steps[0]))]
        rows.append(("white noise", evaluation.references.get("white_noise", {}).get(genre)))
        for what, row in rows:
            if row is not None:
                table.add_row(genre, what, *(sound_cell(row.measures.get(name), name) for name in SHOWN))
        table.add_section()
    return table


def sound_cell(measure: Measure | None, name: str) -> str:
    """A measure as its catalogue entry prints it."""
    return catalogue.BY_NAME[name].shown(measure.value) if measure else "–"
