"""What the 2019 page says beside what its files say. In: findings by key. Out: claims, each only if the files are here.

Source of the left side: docs/index.md of github.com/franceme/WaveNetExploration and its figures.
"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from src.legacy import study_2019
from src.legacy.finding import Claim, Finding, finding


def claims(by_key: Mapping[str, Finding]) -> list[Claim]:
    """The page's statements that its files correct, most telling first."""
    found = [_loss(by_key), _generation(by_key), _time(by_key), _restarts(by_key), _computers(by_key), _song(by_key)]
    return [claim for claim in [*found, _seen(by_key), _quality(by_key)] if claim is not None]


def more_songs(clips: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Whether genres with more songs came out less noisy: the page's guess, tested on the last step's clips."""
    last = max((clip["step"] for clip in clips), default=0)
    flatness = {clip["genre"]: clip["spectral_flatness"] for clip in clips if clip["step"] == last}
    genres = sorted(flatness.keys() & study_2019.SONGS.keys())
    if len(genres) != len(study_2019.GENRES):
        return []
    songs = np.argsort(np.argsort([study_2019.SONGS[genre] for genre in genres]))
    noise = np.argsort(np.argsort([flatness[genre] for genre in genres]))
    correlation = float(np.corrcoef(songs, noise)[0, 1])
    every = [float(np.corrcoef(songs, order)[0, 1]) for order in permutations(range(len(genres)))]
    p = float(np.mean(np.abs(every) >= abs(correlation) - 1e-9))
    best = 2 / len(every)
    text = f"Whether more songs of a genre made better music cannot be seen: {len(genres)} genres have one clip each."
    evidence = f"Rank correlation of songs and spectral flatness at step {last:,}: {correlation:+.2f} (more songs, "
    evidence += f"{'more' if correlation > 0 else 'less'} noise), exact p = {p:.2f}. Even a perfect order would have "
    evidence += f"p = {best:.3f}, and flatness is not quality."
    values = {"correlation": correlation, "p": p, "least_p": best, "step": last}
    return [finding("more_songs", "More songs, better music?", text, evidence, "inferred", **values)]


def _loss(by_key: Mapping[str, Finding]) -> Claim | None:
    if "loss" not in by_key:
        return None
    loss = by_key["loss"].values
    lowered = "padding" in by_key and by_key["padding"].values.get("example", {}).get("step") == loss["last_step"]
    why = "Median of the last 100 unpadded steps." + (" That one batch was partly padding." if lowered else "")
    said = f"{loss['last_logged']:.3f} at the last checkpoint, in its figure"
    return Claim("Loss at the end", said, f"{loss['final_median']:.2f} nats", why)


def _generation(by_key: Mapping[str, Finding]) -> Claim | None:
    if "generation" not in by_key:
        return None
    values = by_key["generation"].values
    why = f"The first interval covers two clips: divide by {values['clips']}, not by {values['intervals']}."
    said = f"{study_2019.PUBLISHED_SECONDS_PER_CLIP:,.0f} s"
    return Claim("Seconds per clip", said, f"{values['mean_s']:,.1f} s", why)


def _time(by_key: Mapping[str, Finding]) -> Claim | None:
    if "time" not in by_key:
        return None
    days = by_key["time"].values["step_seconds"] / 86400
    why = "Sum of the logged seconds"
    if "downtime" in by_key:
        why += f"; {by_key['downtime'].values['idle_hours']:.0f} hours of standing still come on top"
    said = f"roughly {study_2019.PUBLISHED_TRAINING_DAYS:.0f} days"
    return Claim("Training time", said, f"{days:.2f} days of steps", f"{why}.")


def _restarts(by_key: Mapping[str, Finding]) -> Claim | None:
    if "restarts" not in by_key:
        return None
    values = by_key["restarts"].values
    why = f"A crash loop is one mark in the figures. {len(values['unlogged_starts'])} more starts left no line."
    found = f"{values['restart_lines']} restarts in {values['breakdowns']} breakdowns"
    return Claim("Restarts", "marks in two figures, not counted", found, why)


def _computers(by_key: Mapping[str, Finding]) -> Claim | None:
    phases = by_key["speed"].values["phases"] if "speed" in by_key else []
    if len(phases) < 3:
        return None
    first, last = phases[0]["median_s"], phases[-1]["median_s"]
    why = f"{first / last:.0f} times faster: the same computer perhaps, but not used in the same way."
    said = "one computer for steps 0–343 and again from 870"
    return Claim("Computers", said, f"{first:.0f} s a step, then {last:.1f} s", why)


def _song(by_key: Mapping[str, Finding]) -> Claim | None:
    if "padding" not in by_key:
        return None
    low, high = by_key["padding"].values["clip_seconds"]
    why = (
        f"A song's padded end comes every {by_key['padding'].values['period']} steps; 30 s would make it two or three."
    )
    said = f"two minutes in one place, {study_2019.PUBLISHED_CLIP_SECONDS:.0f} s in another"
    return Claim("Length of a song", said, f"{low:.0f} to {high:.0f} s", why)


def _seen(by_key: Mapping[str, Finding]) -> Claim | None:
    if "seen" not in by_key:
        return None
    values = by_key["seen"].values
    share = 100 * values["distinct"][-1] / values["songs"]
    why = "A song lasts ten steps, and 15,000 steps were over before the others' turn came."
    said = f"{values['songs']:,} songs collected"
    return Claim("Music heard", said, f"about {values['distinct'][-1]:,.0f} of them ({share:.0f} %)", why)


def _quality(by_key: Mapping[str, Finding]) -> Claim | None:
    if "more_songs" not in by_key:
        return None
    values = by_key["more_songs"].values
    why = f"One clip a genre; their order by noise is what chance gives as well (p = {values['p']:.2f})."
    return Claim("More data, better music", "rock sounds better, perhaps for its more songs", "cannot be seen", why)
