"""Measure the compared checkpoints and what was generated from them, beside references, with intervals.

In: checkpoints/, data/clips/, generations/ (or those of an imported run). Out: metrics/evaluate.json and
metrics/summary.json (docs/formats.md), and a table. Each section is measured on its own: what is missing gets a
sentence in the file and the rest is still measured. Command: python -m src.evaluate
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from rich.table import Table

from src.errors import Problem
from src.measures import heldout, likelihood
from src.music.clipset import ClipSet
from src.run import checkpoint, config, console, files, layout
from src.wavenet import mulaw
from src.wavenet.network import WaveNet

app = console.command_app(__doc__ or "")


def codes_of(clips: ClipSet, index: int, channels: int) -> likelihood.Codes:
    """Mu-law codes of a whole clip: (time,) int64."""
    return np.asarray(mulaw.encode(clips.read(index, 0, clips.clips[index].frames), channels), dtype=np.int64)


def held_out(clips: ClipSet, params: config.Params) -> list[heldout.Song]:
    """The validation clips with the windows to score: one second each, spread over the clip."""
    rate, model = params.profile.clips.rate_hz, params.profile.model
    total = round(params.profile.evaluate.seconds_per_clip * rate)
    songs = []
    for index, clip in enumerate(clips.clips):
        if clip.split == "validation":
            windows = likelihood.spread_windows(clip.frames, model.receptive_field, total, min(rate, total))
            if windows:
                codes = codes_of(clips, index, model.quantization_channels)
                songs.append(heldout.Song(clip.genre, codes, tuple(windows)))
    return songs


def training_counts(clips: ClipSet, channels: int) -> dict[str, likelihood.Codes]:
    """How often code follows code in each genre's training clips: genre → (channels, channels)."""
    counts: dict[str, likelihood.Codes] = {}
    training = [index for index, clip in enumerate(clips.clips) if clip.split == "train"]
    with console.progress("Fitting Markov models", len(training), "clips") as meter:
        for index in training:
            genre = clips.clips[index].genre
            counts[genre] = counts.get(genre, 0) + likelihood.count_pairs(codes_of(clips, index, channels), channels)
            meter.advance()
    return counts


def load_network(folder: Path, genres: tuple[str, ...]) -> tuple[checkpoint.Checkpoint, WaveNet]:
    """A checkpoint and its network, ready to score. Raises `Problem` if it knows other genres."""
    loaded = checkpoint.load(folder)
    if loaded.genres != genres:
        raise Problem(f"{folder} knows the genres {', '.join(loaded.genres)}; params.yaml has {', '.join(genres)}.")
    network = WaveNet(loaded.model)
    network.load_state_dict(loaded.weights)
    return loaded, network.eval()


def evaluate(run: layout.RunFiles, params: config.Params) -> dict[str, Any]:
    """Everything of metrics/evaluate.json."""
    torch.set_num_threads(params.profile.train.threads)
    channels = params.profile.model.quantization_channels
    clips = ClipSet.open(Path("data/clips"))
    songs = held_out(clips, params)
    baselines = heldout.score_baselines(training_counts(clips, channels), songs)
    markov = {
        genre: min(found[name].value for name in ("markov_genre", "markov_pooled"))
        for genre, found in baselines.items()
    }
    steps, conditioning, context = {}, {}, {}
    total = len(params.compared_steps) * heldout.predictions(songs, len(params.genres))
    with console.progress("Scoring held-out clips", total, "samples") as meter:
        for step in params.compared_steps:
            loaded, network = load_network(run.checkpoint(step), params.genres)
            field = loaded.model.receptive_field
            scores = heldout.score(network, field, songs, params.genres, silence=channels // 2, done=meter.advance)
            steps[f"{step:06d}"] = heldout.likelihood_rows(scores, songs, markov)
            conditioning[f"{step:06d}"] = heldout.conditioning_row(scores, songs, params.genres)
            context[f"{step:06d}"] = heldout.context_rows(scores, songs, field)
    return {
        "format": 1,
        "run": None if run.name == "current" else run.name,
        "genres": list(params.genres),
        "uniform": float(np.log2(channels)),
        "markov": markov,
        "baselines": {g: {name: bits.to_json() for name, bits in found.items()} for g, found in baselines.items()},
        "steps": steps,
        "conditioning": conditioning,
        "context": context,
        "why": {},
    }


def bits_table(result: dict[str, Any]) -> Table:
    """Held-out bits per sample: a row for each step, then the baselines."""
    table = Table(title=f"Held-out bits per sample (uniform {result['uniform']:.2f}; lower is better)")
    table.add_column("step")
    for genre in result["genres"]:
        table.add_column(genre, justify="right")
    for step, rows in result["steps"].items():
        table.add_row(str(int(step)), *(shown(rows.get(genre)) for genre in result["genres"]))
    table.add_section()
    labels = {"markov_genre": "Markov, this genre", "markov_pooled": "Markov, all genres", "unigram": "unigram"}
    for name, label in labels.items():
        table.add_row(label, *(f"{result['baselines'][genre][name]['value']:.2f} " for genre in result["genres"]))
    return table


def shown(row: dict[str, Any] | None) -> str:
    """A figure of the table; a star where it is below the stronger Markov model."""
    if row is None:
        return "–"
    return f"{row['bits_per_sample']:.2f}{'*' if row['below_markov'] else ' '}"


@app.command()
def main(
    profile: str = typer.Option(None, help="Scale of the study; the one in params.yaml if not given."),
    run: str = typer.Option(None, help="Name of an imported run; the study's own if not given."),
) -> None:
    """Measure the compared checkpoints."""
    params = config.load(profile=profile)
    places = layout.imported(run) if run else layout.current()
    result = evaluate(places, params)
    files.write_json(places.metrics / "evaluate.json", result)
    console.show(bits_table(result))
    console.say(f"Written: {places.metrics / 'evaluate.json'}. A star: below the stronger Markov model.")


if __name__ == "__main__":
    console.run(app)
