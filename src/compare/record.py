"""The comparison as data: comparison.json (everything) and the metrics under DVC (what every machine agrees on).

In: a `Comparison`. Out: values for JSON and rows for CSV. Names of songs, hosts and folders are in none of them.
"""

from typing import Any

from src.compare import answers, curves
from src.compare.comparison import Comparison, Run
from src.compare.listening import Listening
from src.evaluate.schema import BITS


def full(comparison: Comparison, sentences: list[str], made: str, listening: Listening | None) -> dict[str, Any]:
    """comparison.json. made: when, as ISO 8601."""
    return {
        "format": 2,
        "made": made,
        "steps": list(comparison.steps),
        "genres": list(comparison.genres),
        "answers": [
            {"question": answer.question, "sentences": [said.text for said in answer.said]}
            for answer in answers.answers(comparison)
        ],
        "sentences": sentences,
        "not_there": list(comparison.notes),
        "runs": [_run(run, comparison) for run in comparison.runs],
        "listening": listening.as_json() if listening else None,
    }


def _run(run: Run, comparison: Comparison) -> dict[str, Any]:
    loss, seconds = curves.loss_curve(run.view), curves.seconds_curve(run.view)
    return {
        "name": run.name,
        "fingerprint": run.fingerprint,
        "steps_with_checkpoint": list(run.checkpoints),
        "steps_with_audio": list(run.generated),
        "steps_logged": len(run.view.steps),
        "steps_replayed": run.view.replayed,
        "attempts": len(run.view.attempts),
        "trained_with": {key: list(values) for key, values in run.trained_with.items()},
        "restarts": [vars(mark) for mark in curves.restarts(run.view)],
        "music": {
            "digest": run.digest,
            "genres": {
                count.genre: {"songs": count.songs, "training": count.training, "validation": count.validation}
                for count in run.counts
            },
        },
        "median_loss_nats": {str(step): run.median_loss(step) for step in comparison.steps},
        "loss_nats": loss.as_json() if loss else None,
        "seconds_per_step": seconds.as_json() if seconds else None,
        "generation_seconds": {str(step): made.seconds for step, made in run.generated.items()},
        "clips_per_genre": {str(step): made.clips for step, made in run.generated.items()},
        "clips": [
            {
                "step": clip.step,
                "genre": clip.genre,
                "sha256": clip.digest,
                "duration_s": clip.sound.duration_s if clip.sound else None,
                "rms_dbfs": round(clip.sound.rms_dbfs, 2) if clip.sound else None,
                "peak_dbfs": round(clip.sound.peak_dbfs, 2) if clip.sound else None,
                "trouble": clip.trouble or None,
            }
            for clip in run.clips
        ],
        "evaluation": run.evaluation.to_json() if run.evaluation else None,
    }


def metrics(comparison: Comparison) -> dict[str, Any]:
    """metrics/compare.json: bits per sample and loss of each compared step, the same for the same training."""
    run = comparison.run
    by_step: dict[str, Any] = {}
    for step in comparison.steps:
        loss = run.median_loss(step)
        bits = {
            genre: value
            for genre in comparison.genres
            if run.evaluation and (value := run.evaluation.bits(step, genre)) is not None
        }
        by_step[str(step)] = {
            **({} if loss is None else {"median_loss_nats": float(f"{loss:.6g}")}),
            **({BITS: bits, "mean_bits_per_sample": float(f"{sum(bits.values()) / len(bits):.6g}")} if bits else {}),
        }
    return by_step


def loss_rows(comparison: Comparison) -> list[tuple[str, str]]:
    """metrics/plots/loss.csv: step (middle of a window) and median loss in nats per sample."""
    curve = curves.loss_curve(comparison.run.view)
    if curve is None:
        return []
    return [(f"{step:.0f}", f"{loss:.6g}") for step, loss in zip(curve.steps, curve.median, strict=True)]


def bits_rows(comparison: Comparison) -> list[tuple[str, str, str]]:
    """metrics/plots/bits.csv: step, genre, bits per sample; the Markov model's as rows of their own."""
    evaluation = comparison.run.evaluation
    if evaluation is None:
        return []
    known = [
        (step, name, value)
        for step in comparison.steps
        for genre in comparison.genres
        for name, value in (
            (genre, evaluation.bits(step, genre)),
            (f"{genre} (Markov)", evaluation.markov.get(genre)),
        )
    ]
    return [(str(step), name, f"{value:.6g}") for step, name, value in known if value is not None]
