"""Which processor computes: the one choice a user makes, turned into torch's device.

In: `device` of params.yaml, or `--device`. Out: "cpu", "cuda" or "mps", or a sentence on what is missing.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from src.base.errors import Problem

if TYPE_CHECKING:
    import torch

Asked = Literal["auto", "cpu", "cuda", "mps"]
Kind = Literal["cpu", "cuda", "mps"]

GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""What a system with a GPU for `cuda` has: NVIDIA's driver, that of Windows' Linux, AMD's."""


def choose(asked: Asked) -> Kind:
    """The kind of device that is used. auto: a GPU where torch finds one, else the CPU.

    Raises `Problem` if the one asked for is not there.
    """
    if asked == "cpu" or (asked == "auto" and not _gpu_is_thinkable()):
        return "cpu"
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if not there[asked]:
        raise Problem(
            f"device is {asked}, and torch {torch.__version__} finds none here. Set device to auto or cpu in "
            "params.yaml, or install a build of torch for this machine's GPU into .venv."
        )
    return asked


def place(kind: Kind) -> "torch.device":
    """torch's device of this kind; with `torchrun`, the GPU whose number is this process's on its machine."""
    import torch

    if kind != "cuda":
        return torch.device(kind)
    # cuBLAS keeps to one order of its sums only with a workspace of its own, set before it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def name(kind: Kind) -> str:
    """What the record says of it: the kind, and of a GPU also its name."""
    if kind != "cuda":
        return kind
    import torch

    return f"cuda ({torch.cuda.get_device_name()})"


def _gpu_is_thinkable() -> bool:
    """Whether it is worth the seconds that torch takes to load."""
    return sys.platform == "darwin" or any(Path(file).exists() for file in GPU_FILES)
