"""Findings of the losses: padding, where the loss ended, restarts, how much music was heard.

In: `Analysis`. Out: findings, and the table of windows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.legacy import jumps, study_2019
from src.legacy.analysis import Analysis
from src.legacy.finding import Finding, finding

WINDOW_STEPS = 1000
LAST = 100
"""Steps over which the final loss is taken."""
DRAWS = 2000


def findings(analysis: Analysis, known: bool) -> list[Finding]:
    """Findings of the losses, each only where the log is long enough for it."""
    return [*_padding(analysis), *_loss(analysis, known), *_jumps(analysis), *_seen(analysis, known)]


def _padding(analysis: Analysis) -> list[Finding]:
    found = analysis.padding
    if found is None or not found.convincing:
        return []
    series = analysis.series
    last = int(series.steps[-1])
    low = float(np.percentile(found.ratios, 5))
    drop = float(np.median(1 - found.ratios))
    wasted = float(np.sum(1 - found.ratios))
    piece_s = study_2019.SAMPLE_SIZE / study_2019.RATE_HZ
    clip_s = [piece_s * (found.period * study_2019.BATCH_SIZE - 1), piece_s * found.period * study_2019.BATCH_SIZE]
    share = found.distances[found.period] / max(1, found.distances.sum())
    expected = found.by_chance[found.period] / max(1, found.distances.sum())
    values: dict[str, Any] = {
        "steps": len(found.places), "share": found.share, "period": found.period, "p": found.p,
        "median_drop": drop, "p05_ratio": low, "wasted_steps": wasted, "clip_seconds": clip_s,
        "at_period": int(found.distances[found.period]), "expected_at_period": float(found.by_chance[found.period]),
    }  # fmt: skip
    text = f"{100 * found.share:.1f} % of the logged losses ({len(found.places):,} of {len(series.losses):,}) are "
    text += "low only because silence was scored: the reference fills a song's last piece with zeros and counts them."
    evidence = f"Isolated drops stand {found.period} steps apart {share / expected:.0f} times as often as by chance "
    evidence += (
        f"(binomial p < 1e-{int(-np.log10(max(found.p, 1e-300)))}), and hardly ever further: {found.period} steps "
    )
    evidence += f"are one song of {clip_s[0]:.0f} to {clip_s[1]:.0f} s. They end near one half of the loss around them "
    evidence += f"(5th percentile {low:.2f}), as they must if one of the two pieces in a batch is mostly zeros."
    steps_padded = series.steps[found.places]
    for step in (study_2019.CHECKPOINTS[-1], last):
        if step in steps_padded:
            at = int(np.flatnonzero(steps_padded == step)[0])
            values["example"] = {
                "step": step,
                "loss": float(series.losses[found.places[at]]),
                "ratio": float(found.ratios[at]),
            }
            break
    return [finding("padding", "Losses lowered by padding", text, evidence, "inferred", **values)]


def _loss(analysis: Analysis, known: bool) -> list[Finding]:
    series = analysis.series
    if len(series.losses) < 3 * LAST:
        return []
    clean = np.ones(len(series.losses), bool)
    clean[series.padded] = False
    # The last published checkpoint ends the run; a few steps behind it belong to another day.
    before_end = series.steps <= study_2019.CHECKPOINTS[-1] if known else np.ones(len(clean), bool)
    tail = np.flatnonzero(clean & before_end)[-LAST:]
    low, middle, high = np.percentile(series.losses[tail], [25, 50, 75])
    last = int(np.flatnonzero(before_end)[-1])
    third = len(series.losses) // 3
    places = np.arange(len(series.losses))
    change, bounds = _difference(
        series.losses, clean & (places >= third) & (places < 2 * third), clean & (places >= 2 * third)
    )
    text = f"At the end the loss is {middle:.2f} nats ({middle / np.log(2):.2f} bits) a sample: the median of the last "
    text += f"{LAST} steps without padding, half of them between {low:.2f} and {high:.2f}. The line of step "
    text += f"{int(series.steps[last]):,} alone says {series.losses[last]:.3f}."
    evidence = f"From the second third of the run to the last the median moved by {change:+.2f} nats "
    evidence += f"(95 % interval {bounds[0]:+.2f} to {bounds[1]:+.2f}, resampling ten steps at a time): "
    evidence += (
        "it still fell, slowly." if bounds[1] < 0 else "not a fall that the scatter between songs would not explain."
    )
    values = {
        "final_median": float(middle), "final_p25": float(low), "final_p75": float(high),
        "last_step": int(series.steps[last]), "last_logged": float(series.losses[last]),
        "change_last_third": change, "interval": list(bounds),
    }  # fmt: skip
    return [finding("loss", "Where the loss ended", text, evidence, "inferred", **values)]


def _difference(
    losses: NDArray[np.float64], early: NDArray[np.bool_], late: NDArray[np.bool_]
) -> tuple[float, tuple[float, float]]:
    """Change of the median and its 95 % interval by a block bootstrap: ten steps, a song, at a time."""
    generator = np.random.Generator(np.random.Philox(2019))

    def medians(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        values = losses[mask]
        size = len(values) // 10
        blocks = values[: size * 10].reshape(size, 10)
        draws = min(DRAWS, max(200, 20_000_000 // max(1, len(values))))
        return np.array([np.median(blocks[generator.integers(0, size, size)]) for _ in range(draws)])

    before, after = medians(early), medians(late)
    number = min(len(before), len(after))
    low, high = np.percentile(after[:number] - before[:number], [2.5, 97.5])
    return float(np.median(losses[late]) - np.median(losses[early])), (float(low), float(high))


def _jumps(analysis: Analysis) -> list[Finding]:
    test = analysis.jumps
    if test is None:
        return []
    if test.p < 0.05:
        text = f"The loss changes by {test.change:+.2f} nats across a restart, more than between ordinary songs."
    else:
        text = f"The loss does not jump when training restarts ({test.change:+.2f} nats on average), "
        text += "though each restart threw the optimizer's moments away."
    evidence = (
        f"{test.restarts} restarts beside {test.borders:,} ordinary ends of songs, medians of {jumps.WINDOW} steps on "
    )
    evidence += (
        f"either side, permutation test: p = {test.p:.2f}. A jump of {test.detectable:.2f} nats would have been "
    )
    evidence += "found in four of five such logs; a smaller one cannot be excluded."
    values = {
        "restarts": test.restarts, "borders": test.borders, "change": test.change, "p": test.p,
        "ordinary_change": test.ordinary_change, "detectable": test.detectable, "power": jumps.POWER,
    }  # fmt: skip
    return [finding("jumps", "Restarts and the loss", text, evidence, "inferred", **values)]


def _seen(analysis: Analysis, known: bool) -> list[Finding]:
    if not known or analysis.padding is None or not analysis.padding.convincing:
        return []
    songs = sum(study_2019.SONGS.values())
    steps = len(analysis.series.steps)
    pieces = study_2019.CLIP_SECONDS * study_2019.RATE_HZ / study_2019.SAMPLE_SIZE
    whole = round(steps * study_2019.BATCH_SIZE / np.ceil(pieces))
    ends = len(analysis.padding.places) + len(analysis.series.restarts) + 1
    draws = sorted((whole, ends))
    distinct = [songs * (1 - (1 - 1 / songs) ** number) for number in draws]
    shares = [number / songs for number in distinct]
    text = f"Of the {songs:,} songs only about {distinct[0]:,.0f} to {distinct[1]:,.0f} "
    text += f"({100 * shares[0]:.1f} to {100 * shares[1]:.1f} %) can have been heard at all in {steps:,} steps."
    evidence = f"A step takes two pieces of 100,000 samples; a whole song makes {np.ceil(pieces):.0f}. "
    evidence += f"That is {whole:,} songs if none was trimmed, and {ends:,} by the ends of songs that show in the log. "
    evidence += "They are drawn with replacement, so some came twice. Songs never louder than an RMS of "
    evidence += f"{study_2019.SHORTEST_RMS} were dropped unseen; the log does not show which."
    by_genre = {genre: [round(number * count / songs) for number in draws] for genre, count in study_2019.SONGS.items()}
    values = {"songs": songs, "draws": draws, "distinct": distinct, "expected_draws_by_genre": by_genre}
    return [finding("seen", "How much music was heard", text, evidence, "estimate", **values)]


def windows(analysis: Analysis) -> list[dict[str, Any]]:
    """Totals and means of every 1,000 steps."""
    series = analysis.series
    clean = np.ones(len(series.losses), bool)
    clean[series.padded] = False
    width = max(WINDOW_STEPS, (int(series.steps.max()) // 60 // WINDOW_STEPS + 1) * WINDOW_STEPS)
    rows = []
    for window in np.unique(series.steps // width):
        mask = series.steps // width == window
        kept = mask & clean
        if not kept.any():
            continue
        low, middle, high = np.percentile(series.losses[kept], [10, 50, 90])
        rows.append(
            {
                "first_step": int(series.steps[mask].min()), "last_step": int(series.steps[mask].max()),
                "lines": int(mask.sum()), "hours": float(series.seconds[mask].sum() / 3600),
                "mean_s": float(series.seconds[mask].mean()), "median_s": float(np.median(series.seconds[mask])),
                "mean_loss": float(series.losses[mask].mean()), "median_loss": float(middle),
                "p10_loss": float(low), "p90_loss": float(high), "padded": int((mask & ~clean).sum()),
            }
        )  # fmt: skip
    return rows
