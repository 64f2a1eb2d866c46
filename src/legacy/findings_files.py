"""Findings of what is not the training log: generation times, checkpoints, clips.

In: `Findings`. Out: findings, and the table of checkpoints.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.base.crc32c import crc32c
from src.base.tensorflow_checkpoint import Index
from src.legacy import study_2019
from src.legacy.finding import Basis, Finding, finding
from src.legacy.reading import Findings

LARGEST = 64 * 2**20
"""Bytes of a variable beyond which it is not compared with zeros."""


def findings(found: Findings, clips: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """All findings of these files."""
    return [*_generation(found), *_checkpoints(found), *_unchanged(found.indexes), *_clips(clips)]


def _generation(found: Findings) -> list[Finding]:
    times = found.generation
    if times is None:
        return []
    shared = sum(count > 1 for count in times.covered)
    values: dict[str, Any] = {
        "total_s": times.total_s, "clips": times.clips, "mean_s": times.mean_s, "intervals": len(times.covered),
        "seconds_per_interval": times.naive_mean_s, "stamps": len(times.stamps_ms),
    }  # fmt: skip
    sentence = f"{times.clips} clips took {times.total_s:,.1f} s together, {times.mean_s:,.1f} s each"
    if found.known:
        rate = study_2019.CLIP_FRAMES / times.mean_s
        values["samples_per_s"] = rate
        sentence += f": {rate:.1f} samples a second, {study_2019.RATE_HZ / rate:.0f} times slower than it plays"
    single = [length for length, count in zip(times.seconds, times.covered, strict=True) if count == 1]
    evidence = (
        f"{len(times.stamps_ms)} stamps bound {len(times.covered)} intervals; the single ones last "
        f"{min(single):,.0f} to {max(single):,.0f} s."
    )
    if shared:
        place = next(k for k, count in enumerate(times.covered) if count > 1)
        evidence += (
            f" Interval {place + 1} lasts {times.seconds[place]:,.1f} s, "
            f"{times.seconds[place] / np.median(single):.2f} times the others: a stamp is missing and it covers "
            f"{times.covered[place]} clips. Dividing by {len(times.covered)} gives {times.naive_mean_s:,.0f} s."
        )
    basis: Basis = "inferred" if shared else "read"
    return [finding("generation", "Seconds per clip", f"{sentence}.", evidence, basis, **values)]


def _checkpoints(found: Findings) -> list[Finding]:
    if not found.indexes:
        return []
    first = found.indexes[0]
    steps = ", ".join(f"{index.step:,}" for index in found.indexes)
    names = sorted({path.name for index in found.indexes for path in index.missing()})
    listing = f"Checkpoint {steps} lists" if len(found.indexes) == 1 else f"Checkpoints {steps} list"
    sentence = f"{listing} {len(first.variables)} variables with {first.parameters:,} parameters."
    evidence = ""
    values: dict[str, Any] = {
        "variables": len(first.variables), "parameters": first.parameters, "missing": names,
        "steps": [index.step for index in found.indexes],
    }  # fmt: skip
    if found.network is not None:
        network = found.network
        embedding = first.shapes.get("wavenet/embeddings/gc_embedding")
        values |= {"network": network.model_dump(mode="json"), "embedding": list(embedding) if embedding else None}
        evidence = (
            f"From the shapes: {len(network.dilations)} layers, {network.residual_channels} residual, "
            f"{network.dilation_channels} dilation and {network.skip_channels} skip channels, "
            f"{network.quantization_channels} codes, receptive field {network.receptive_field:,}. "
        )
        if embedding:
            evidence += f"The embedding is {list(embedding)}: {embedding[0]} genres. "
    if names:
        sentence += " Their weights are missing." if len(names) > 1 else " The weights are missing."
        evidence += f"Not published: {', '.join(names)}. With them the networks could speak again."
    return [finding("checkpoints", "Checkpoints", sentence, evidence.strip(), "read", **values)]


def _unchanged(indexes: Sequence[Index]) -> list[Finding]:
    """The index holds a checksum of every variable: what did not change between two checkpoints has the same one."""
    if len(indexes) < 2:
        return []
    first, last = indexes[0], indexes[-1]
    # Biases start at zero in every training: those prove nothing.
    before = {
        v.name: v.crc for v in first.variables if v.size_bytes <= LARGEST and v.crc != crc32c(bytes(v.size_bytes))
    }
    same = [variable.name for variable in last.variables if before.get(variable.name) == variable.crc]
    if len(same) == len(last.variables):
        text = f"Checkpoints {first.step:,} and {last.step:,} are the same network."
    elif same:
        text = (
            f"Checkpoints {first.step:,} and {last.step:,} belong to one training: "
            f"{len(same)} of {len(last.variables)} variables still hold the values they began with."
        )
    else:
        text = f"No variable kept its checksum from checkpoint {first.step:,} to {last.step:,}."
    evidence = ""
    if 0 < len(same) < len(last.variables):
        short = ", ".join(name.removeprefix("wavenet/dilated_stack/") for name in same[:4])
        evidence = (
            f"{short} has the same checksum in both lists: the last layer's residual output goes nowhere, so its "
            "weights get no gradient and stay as they were drawn. A training begun anew would have drawn others."
        )
    return [finding("same_training", "One training", text, evidence, "inferred", unchanged=same)]


def _clips(clips: Sequence[Mapping[str, Any]]) -> list[Finding]:
    if not clips:
        return []
    steps = sorted({clip["step"] for clip in clips})
    primer = {clip["primer_frames"] for clip in clips}
    grid = all(clip["on_grid"] for clip in clips)
    parts = []
    for step in steps:
        flatness = [clip["spectral_flatness"] for clip in clips if clip["step"] == step]
        low, high = f"{min(flatness):.3f}", f"{max(flatness):.3f}"
        parts.append(f"{low if low == high else f'{low} to {high}'} at step {step:,}")
    sentence = f"{len(clips)} clips are here. Their spectral flatness, 1 for white noise and near 0 for a tone, is "
    sentence += " and ".join(parts) + "."
    frames = ", ".join(f"{count:,}" for count in sorted(primer))
    evidence = (
        f"{frames} samples in front of each are the primer, silence and one random code; they are taken off before "
        f"anything is measured. {'Every sample is' if grid else 'Not every sample is'} one of the mu-law values."
    )
    return [finding("clips", "What was generated", sentence, evidence, "read", clips=len(clips), steps=steps)]


def checkpoints(found: Findings) -> list[dict[str, Any]]:
    """One row a checkpoint."""
    return [
        {
            "step": index.step, "updates": (index.step or 0) + 1, "variables": len(index.variables),
            "parameters": index.parameters, "missing": [path.name for path in index.missing()],
        }
        for index in found.indexes
    ]  # fmt: skip
