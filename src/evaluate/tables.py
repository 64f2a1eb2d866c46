"""metrics/evaluate.json as tables for a terminal."""

from typing import Any

from rich.table import Table

from src.evaluate import catalogue

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


def bits(found: dict[str, Any]) -> Table:
    """Held-out bits per sample: a row for each step, then the baselines. No row where no checkpoint was scored."""
    genres = found["genres"]
    table = Table(title=f"Held-out bits per sample (uniform {found['uniform']:.2f}; * below the stronger Markov model)")
    table.add_column("step", justify="right")
    for genre in genres:
        table.add_column(genre, justify="right")
    table.add_column("genre accuracy (95 % interval)", justify="right")
    for step, row in found["conditioning"].items():
        share = row["accuracy"]
        accuracy = f"{share['value']:.0%} ({share['lo']:.0%} to {share['hi']:.0%})"
        table.add_row(str(int(step)), *(bits_cell(found["steps"][step].get(genre)) for genre in genres), accuracy)
    if table.row_count:
        table.add_section()
        for name, label in BASELINES.items():
            values = [found["baselines"].get(genre, {}).get(name, {}).get("value") for genre in genres]
            table.add_row(label, *("–" if value is None else f"{value:.2f} " for value in values), "")
    return table


def bits_cell(row: dict[str, Any] | None) -> str:
    """A figure of the table; a star where it is below the stronger Markov model."""
    if row is None or row.get("bits_per_sample") is None:
        return "–"
    return f"{row['bits_per_sample']:.2f}{'*' if row['below_markov'] else ' '}"


def sound(found: dict[str, Any]) -> Table:
    """A few sound measures of the first and the last step between held-out songs and white noise."""
    table = Table(title="Sound of the generations")
    for name in ("genre", "what", *(catalogue.BY_NAME[name].label for name in SHOWN)):
        table.add_column(name, justify="left" if name in ("genre", "what") else "right")
    steps = [step for step, rows in found["steps"].items() if any("rms" in row["measures"] for row in rows.values())]
    for genre in found["genres"] if steps else []:
        rows = [("held-out songs", found["references"].get("real", {}).get(genre))]
        rows += [
            (f"step {int(step)}", found["steps"][step].get(genre)) for step in dict.fromkeys((steps[-1], steps[0]))
        ]
        rows.append(("white noise", found["references"].get("white_noise", {}).get(genre)))
        for what, row in rows:
            if row is not None:
                table.add_row(genre, what, *(sound_cell(row["measures"].get(name), name) for name in SHOWN))
        table.add_section()
    return table


def sound_cell(measure: dict[str, Any] | None, name: str) -> str:
    """A measure as its catalogue entry prints it."""
    return catalogue.BY_NAME[name].shown(measure["value"]) if measure else "–"
