"""Timing: rounds that take turns, medians, and the processor time beside the clock."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Timing:
    """Median seconds of one piece of work."""

    seconds: float
    """By the clock."""
    cpu_seconds: float
    """Of all cores together: what remains comparable when others use the machine."""


def take_turns(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Run every work once to warm up, then all in turn `rounds` times, so that a busy moment meets them all."""
    for work in works.values():
        work()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            taken[name].append((time.perf_counter() - began, time.process_time() - began_cpu))
    return {
        name: Timing(statistics.median(wall for wall, _ in pairs), statistics.median(cpu for _, cpu in pairs))
        for name, pairs in taken.items()
    }


def machine(device: str) -> dict[str, str | int]:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text().splitlines()
        name = next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), name)
        flags = next((line for line in lines if line.startswith("flags")), "")
        name += " with AMX" if "amx_bf16" in flags else ", AVX-512" if "avx512f" in flags else ""
    return {
        "processor": name,
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else "none",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }
