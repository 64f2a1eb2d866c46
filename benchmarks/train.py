"""Seconds and memory of a training step: ours beside a plain (batch, channel, time) PyTorch port.

    python -m benchmarks train [--profile study] [--sample-size 100000] [--steps 3] [--device cuda]

Every variant runs in a process of its own, so that the memory is its own. Writes work/bench/train.json.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.table import Table

from benchmarks import floors, measure
from benchmarks.baselines import ConvolutionalWaveNet
from src import config
from src.base import console, files
from src.base.errors import Problem
from src.wavenet import network, optimizers
from src.wavenet.training import TrainingStep

VARIANTS = {
    "plain": "plain port, float32",
    "plain-bfloat16": "plain port, bfloat16 autocast",
    "float32": "ours, float32",
    "float32-recompute": "ours, float32, recomputing",
    "bfloat16": "ours, bfloat16",
    "bfloat16-recompute": "ours, bfloat16, recomputing",
    "products": "matrix products alone, float32",
}


def train(
    profile: Annotated[str, typer.Option(help="Whose network and batch.")] = "study",
    sample_size: Annotated[int | None, typer.Option(min=1, help="Scored samples of a row instead of its own.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Timed steps of each variant.")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="Instead of the profile's.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    output: Annotated[Path, typer.Option("--out", help="Where the figures go.")] = Path("work/bench/train.json"),
    only: Annotated[
        list[str] | None, typer.Option(help="A variant to measure (may be repeated); all without it.")
    ] = None,
    variant: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Time training steps of this network, ours and a plain PyTorch port's."""
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise Problem(f"device {device} cannot be used here: give cpu, or cuda where there is a GPU.")
    if variant is not None:
        print(json.dumps(_measure(variant, profile, sample_size, steps, threads, device)))
        return
    rows = {}
    unknown = sorted(set(only or ()) - set(VARIANTS))
    if unknown:
        raise Problem(f"--only {unknown[0]}: the variants are {', '.join(VARIANTS)}.")
    for name in only or VARIANTS:
        console.say(f"measuring {VARIANTS[name]} …")
        command = [sys.executable, "-m", "benchmarks", "train", "--variant", name, "--profile", profile]
        command += ["--steps", str(steps), "--device", device]
        command += ["--sample-size", str(sample_size)] if sample_size else []
        command += ["--threads", str(threads)] if threads else []
        # Waiting threads sleep, so that CPU seconds count work alone.
        environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
        if done.returncode != 0:
            console.warn(f"{VARIANTS[name]} failed with status {done.returncode}; out of memory?")
            continue
        rows[name] = json.loads(done.stdout.strip().splitlines()[-1])
    found = {"profile": profile, "machine": measure.machine(device), "variants": rows}
    files.write_json(output, found)
    console.show(_table(rows))
    console.say(f"Written to {output}.")


def _measure(
    variant: str, profile: str, sample_size: int | None, steps: int, threads: int | None, device: str
) -> dict[str, Any]:
    scale = config.load(profile=profile).profile
    size = sample_size or scale.train.sample_size
    model = network.initialise(scale.model, 0).to(device)
    random = np.random.default_rng(0)
    shape = (scale.train.batch_size, scale.model.receptive_field + size)
    codes = torch.from_numpy(random.integers(0, scale.model.quantization_channels, shape)).to(device)
    genre = torch.zeros(len(codes), dtype=torch.int64, device=device)
    optimizer = optimizers.Adam()
    count = threads or scale.train.threads
    losses: list[float] = []
    if variant == "products":
        step: Callable[[], object] = floors.products(scale.model, len(codes), size, count, device)
    elif variant.startswith("plain"):
        torch.set_num_threads(count)
        plain = ConvolutionalWaveNet(model).to(device)
        parameters = dict(plain.named_parameters())
        state = optimizer.start(parameters)

        def plain_step() -> None:
            with torch.autocast(device, torch.bfloat16, enabled="bfloat16" in variant):
                loss = plain.loss(codes, genre)
            gradients = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
            optimizer.update(parameters, dict(zip(parameters, gradients, strict=True)), state, 1e-3)
            losses.append(loss.item())

        step = plain_step
    else:
        ours = TrainingStep(
            model,
            optimizer,
            optimizer.start(dict(model.named_parameters())),
            precision="bfloat16" if "bfloat16" in variant else "float32",
            recompute_activations="recompute" in variant,
            threads=count,
        )

        def our_step() -> None:
            losses.append(ours(codes, genre, 1e-3))

        step = our_step

    timing = measure.take_turns({variant: step}, steps)[variant]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return asdict(timing) | {
        "memory_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else peak,
        "loss_of_first_step": losses[0] if losses else None,
        "threads": count,
    }


def _table(rows: dict[str, Any]) -> Table:
    table = Table(title="a training step")
    for heading in ("variant", "s", "× plain", "× products", "CPU s", "× plain", "memory GB", "first loss"):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    base, floor = rows.get("plain"), rows.get("products")
    for name, row in rows.items():
        ratios = [f"{base[key] / row[key]:.1f}" if base else "" for key in ("seconds", "cpu_seconds")]
        far = f"{row['seconds'] / floor['seconds']:.2f}" if floor else ""
        loss = row["loss_of_first_step"]
        table.add_row(
            VARIANTS[name], f"{row['seconds']:.3f}", ratios[0], far, f"{row['cpu_seconds']:.3f}", ratios[1],
            f"{row['memory_bytes'] / 1e9:.2f}", "" if loss is None else f"{loss:.5f}",
        )  # fmt: skip
    return table
