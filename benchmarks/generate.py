"""Samples per second of generation: ours beside an eager PyTorch loop, over streams, threads and lengths.

    python -m benchmarks generate [--profile study] [--frames 1000] [--rounds 5] [--device cuda]

Variants take turns in one process. Writes work/bench/generate.json.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.table import Table

from benchmarks import floors, measure
from benchmarks.baselines import QueueLoop
from src import config
from src.base import console, files
from src.base.errors import Problem
from src.wavenet import network, sampler
from src.wavenet.network import WaveNet
from src.wavenet.sampling import Sampling

STREAMS = (1, 2, 3, 5, 6, 10, 20, 40)
EAGER_FRAMES = 200


def generate(
    profile: Annotated[str, typer.Option(help="Whose network.")] = "study",
    frames: Annotated[int, typer.Option(min=1, help="Samples of each stream in one round.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="Timed rounds of each variant.")] = 5,
    threads: Annotated[int | None, typer.Option(min=1, help="Besides one thread; instead of the profile's.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    output: Annotated[Path, typer.Option("--out", help="Where the figures go.")] = Path("work/bench/generate.json"),
) -> None:
    """Time generation with this network, ours and an eager PyTorch loop's."""
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise Problem(f"device {device} cannot be used here: give cpu, or cuda where there is a GPU.")
    scale = config.load(profile=profile).profile
    rate_hz, count = scale.clips.rate_hz, threads or scale.train.threads
    model = network.initialise(scale.model, 0).to(device)
    genres = scale.model.global_condition_cardinality or 1
    torch.set_num_threads(1)  # the eager loop is slower with more
    works: dict[str, Callable[[], object]] = {}
    samples: dict[str, int] = {}
    for streams in (1, 5):
        loop = QueueLoop(model, [stream % genres for stream in range(streams)])
        numbers = torch.from_numpy(np.random.default_rng(0).random((streams, EAGER_FRAMES))).to(device)
        name = f"eager PyTorch loop, {streams} streams, 1 thread"
        works[name], samples[name] = partial(loop.sample, numbers), streams * EAGER_FRAMES
    for kind in ("float32", "bfloat16") if device == "cpu" else ("float32",):
        for pool in dict.fromkeys((1, count)) if device == "cpu" else (1,):
            for streams in STREAMS:
                if streams >= pool and (kind == "float32" or streams in (1, 5, 20)):
                    name = f"ours, {kind}, {streams} streams" + (f", {pool} threads" if device == "cpu" else "")
                    works[name] = _ours(model, streams, genres, frames, pool, kind, device)
                    samples[name] = streams * frames
    floor = "weights read alone, 5 streams, 1 thread"
    if device == "cpu":
        works[floor], samples[floor] = floors.weights_read(model, frames), 5 * frames
    one = "ours, float32, 1 streams" + (", 1 threads" if device == "cpu" else "")
    doubled = f"{one}, twice the length"
    works[doubled], samples[doubled] = _ours(model, 1, genres, 2 * frames, 1, "float32", device), 2 * frames
    began = time.perf_counter()
    next(sampler.generate([model], [0], 1, np.zeros((1, 1))))
    first_s = time.perf_counter() - began
    timings = measure.take_turns(works, rounds)
    rows = {
        name: asdict(timing)
        | {
            "samples_per_s": samples[name] / timing.seconds,
            "samples_per_cpu_s": samples[name] / timing.cpu_seconds,
            "times_real_time": samples[name] / timing.seconds / rate_hz,
        }
        for name, timing in timings.items()
    }
    found: dict[str, Any] = {
        "profile": profile,
        "machine": measure.machine(device),
        "first_sample_s": first_s,
        "variants": rows,
        "cost_of_twice_the_length": rows[doubled]["seconds"] / rows[one]["seconds"],
    }
    if device == "cpu":
        found["bfloat16_divergence"] = divergence(model)
    files.write_json(output, found)
    console.show(_table(rows))
    console.say(f"First sample, with loading or compiling the kernels: {first_s:.1f} s (compiled code is cached).")
    console.say(f"Twice the length costs {found['cost_of_twice_the_length']:.2f} times as much.")
    if device == "cpu":
        far = found["bfloat16_divergence"]
        console.say(
            f"bfloat16 weights: probabilities differ by at most {far['greatest']:.1e}, "
            f"{far['bits_per_sample']:.1e} bits per sample of divergence from float32."
        )
    console.say(f"Written to {output}.")


def _ours(
    model: WaveNet, streams: int, genres: int, frames: int, threads: int, kind: Any, device: str
) -> Callable[[], object]:
    from src.wavenet.gpu.device_streams import DeviceStreams

    ids = [stream % genres for stream in range(streams)]
    group: Any
    if device == "cuda":
        group = DeviceStreams([model], ids, Sampling(weights=kind))
    else:
        from src.wavenet.cpu.streams import Streams

        group = Streams(model, ids, Sampling(weights=kind), threads)
    group.start()
    numbers = np.random.default_rng(0).random((streams, frames))
    return lambda: group.sample(numbers)


def divergence(model: WaveNet, frames: int = 500) -> dict[str, float]:
    """How far bfloat16 weights move the probabilities of random codes: greatest difference, mean divergence."""
    from src.wavenet.cpu.streams import Group, PackedWeights

    quantization = model.config.quantization_channels
    codes = np.random.default_rng(1).integers(0, quantization, (1, frames))
    seen = []
    genre = None if model.config.global_condition_cardinality is None else 0
    kinds: tuple[Any, ...] = ("float32", "bfloat16")
    for kind in kinds:
        group = Group(PackedWeights(model, kind), [genre], Sampling(weights=kind))
        group.start([None])
        probabilities = np.zeros((frames, 1, quantization), np.float32)
        group.run(codes.copy(), np.zeros((1, frames)), seen=probabilities)
        seen.append(np.maximum(probabilities[:, 0].astype(np.float64), 1e-30))
    exact, rounded = seen
    return {
        "greatest": float(np.abs(exact - rounded).max()),
        "bits_per_sample": float((exact * np.log2(exact / rounded)).sum(1).mean()),
    }


def _table(rows: dict[str, Any]) -> Table:
    table = Table(title="generation")
    for heading in ("variant", "samples/s", "per CPU second", "× real time", "× eager loop, 1 stream"):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    base = next(iter(rows.values()))["samples_per_s"]
    for name, row in rows.items():
        table.add_row(
            name, f"{row['samples_per_s']:,.0f}", f"{row['samples_per_cpu_s']:,.0f}",
            f"{row['times_real_time']:.2f}", f"{row['samples_per_s'] / base:.1f}",
        )  # fmt: skip
    return table
