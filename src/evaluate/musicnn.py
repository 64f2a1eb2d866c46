"""Windows of audio as points, by two networks trained to tag music (Pons and Serra 2019, arXiv 1909.06654).

In: audio, brought to 16 kHz, and the trained weights, which the installed wheel `musicnn` 0.1.0 (ISC licence) carries.
Out: the activations before the tags, for patches of 187 frames (3 s): (windows, 200) of musicnn, trained on the Million
Song Dataset, and (windows, 256) of a VGG network, trained on MagnaTagATune. Neither the network nor the data are the
same, so what both say does not hang on one of them.

The networks stand here in torch; the wheel's files are read, and nothing of its code is imported or run. Deviation
from it: the log-mel values are kept in float32, where it rounds them to float16 (which overflows for loud bands).
"""

import functools
import importlib.util
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch.nn import functional

from src.base import tensorflow_checkpoint
from src.base.errors import Problem
from src.evaluate import spectra
from src.evaluate.embedding import Embedding
from src.evaluate.spectra import Audio

MUSICNN, VGG = "MSD_musicnn", "MTT_vgg"
"""Folders of the wheel. The Million Song Dataset is tagged with genres and moods, MagnaTagATune with sounds."""

RATE_HZ = 16000
FFT, HOP, BANDS = 512, 256, 96
PATCH_FRAMES = 187
HOP_S = 2.5
"""From a patch to the next: eight seconds have three."""
BATCH = 2
"""Patches at a time: the front end's activations of one take 10 MB."""
EPSILON = 1e-3
"""Of the batch normalisations (TensorFlow's default)."""

Weights = Mapping[str, NDArray[np.generic]]
Shapes = dict[str, tuple[int, ...]]

SHAPES: Shapes = {
    "conv2d/kernel": (7, 38, 1, 204),  # timbre: 7 frames by 0.4 of the bands
    "conv2d_1/kernel": (7, 67, 1, 204),  # timbre: 7 frames by 0.7 of the bands
    "conv2d_2/kernel": (128, 1, 1, 51),  # time, one band
    "conv2d_3/kernel": (64, 1, 1, 51),
    "conv2d_4/kernel": (32, 1, 1, 51),
    "conv2d_5/kernel": (7, 561, 1, 64),
    "conv2d_6/kernel": (7, 64, 1, 64),
    "conv2d_7/kernel": (7, 64, 1, 64),
    "dense/kernel": (1506, 200),
    "dense_1/kernel": (200, 50),
}
NORMALISED = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)
"""Channels of each batch normalisation, in order."""
FRONT = ("conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4")
"""Filters of musicnn's first layers."""
VGG_SHAPES: Shapes = {
    "1CNN/kernel": (3, 3, 1, 128),
    **{f"{number}CNN/kernel": (3, 3, 128, 128) for number in (2, 3, 4, 5)},
}
VGG_NORMALISED = (1, 128, 128, 128, 128, 128)
VGG_POOLS = (((4, 1), (2, 1)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4)))
"""Size and stride of the pooling after each layer, over (time, bands). The first takes every other band: only these are
computed."""


def variables(kernels: Shapes = SHAPES, normalised: tuple[int, ...] = NORMALISED) -> Shapes:
    """Name → shape of every array that a network needs."""
    shapes = dict(kernels)
    shapes |= {name.replace("kernel", "bias"): (shape[-1],) for name, shape in kernels.items()}
    for number, channels in enumerate(normalised):
        for part in ("beta", "gamma", "moving_mean", "moving_variance"):
            shapes[f"{_norm(number)}/{part}"] = (channels,)
    return shapes


def _norm(number: int) -> str:
    return "batch_normalization" + (f"_{number}" if number else "")


@dataclass(frozen=True)
class Layers:
    """Activations, as the publication names them: (batch, time, channels), the last two (batch, channels)."""

    timbral: torch.Tensor
    temporal: torch.Tensor
    cnn1: torch.Tensor
    cnn2: torch.Tensor
    cnn3: torch.Tensor
    penultimate: torch.Tensor
    logits: torch.Tensor


class Tagger:
    """What both networks share: weights, batch normalisation, and patches of audio as points."""

    needed: ClassVar[Shapes]
    dims: ClassVar[int]

    def __init__(self, weights: Weights) -> None:
        """Raises ValueError if an array is missing or has another shape."""
        wrong = [name for name, shape in self.needed.items() if name not in weights or weights[name].shape != shape]
        if wrong:
            raise ValueError(f"{wrong[0]} is missing or has another shape than {type(self).__name__}'s")
        self._w = {name: torch.from_numpy(np.asarray(weights[name], dtype=np.float32)) for name in self.needed}

    def points(self, patches: torch.Tensor) -> torch.Tensor:
        """(batch, time, 96) log-mel values to (batch, dims)."""
        raise NotImplementedError

    def embed(self, audio: Audio, rate_hz: int) -> NDArray[np.float64]:
        """(windows, dims) of patches every `HOP_S`; none for a clip shorter than a patch."""
        bands = log_mel(soxr.resample(audio, rate_hz, RATE_HZ) if rate_hz != RATE_HZ else audio)
        if len(bands) < PATCH_FRAMES:
            return np.zeros((0, self.dims))
        step = round(HOP_S * RATE_HZ / HOP)
        patches = np.lib.stride_tricks.sliding_window_view(bands, PATCH_FRAMES, axis=0)[::step].transpose(0, 2, 1)
        rows = []
        with torch.inference_mode():
            for first in range(0, len(patches), BATCH):
                batch = torch.from_numpy(patches[first : first + BATCH].copy())
                rows.append(self.points(batch).numpy().astype(np.float64))
        return np.concatenate(rows)

    def _signs(self, norm: int) -> torch.Tensor:
        """(channels,) 1 where a normalisation rises with its input, -1 where it turns the order round.

        The highest normalised value of several is then the normalisation of their highest, or of their lowest: with
        filters times these signs always of the highest. So the normalisation is of one value and not of many.
        """
        return torch.where(self._w[f"{_norm(norm)}/gamma"] >= 0, 1.0, -1.0)

    def _filters(self, name: str, norm: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Kernel and bias of a layer times the signs of its normalisation."""
        signs = self._signs(norm)
        kernel = (self._w[f"{name}/kernel"] * signs).permute(3, 2, 0, 1).contiguous()
        return kernel, self._w[f"{name}/bias"] * signs

    def _normalise(self, x: torch.Tensor, norm: int) -> torch.Tensor:
        """Batch normalisation by the trained mean and variance; channels are dimension 1."""
        part = {name: self._w[f"{_norm(norm)}/{name}"] for name in ("beta", "gamma", "moving_mean", "moving_variance")}
        return functional.batch_norm(
            x, part["moving_mean"], part["moving_variance"], part["gamma"], part["beta"], training=False, eps=EPSILON
        )


class Vgg(Tagger):
    """Five layers of 3×3 filters, each followed by pooling."""

    needed = variables(VGG_SHAPES, VGG_NORMALISED)
    dims = 256

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self._layers = [self._filters(f"{number}CNN", number) for number in range(1, 6)]

    def points(self, patches: torch.Tensor) -> torch.Tensor:
        """The last pooling, (batch, 256): in the order time, bands, channels, as TensorFlow flattens it."""
        x = self._normalise(patches[:, None], 0)
        for number, (filters, pools) in enumerate(zip(self._layers, VGG_POOLS, strict=True), start=1):
            maps = functional.conv2d(x, *filters, stride=(1, 2) if number == 1 else 1, padding=1)
            for dimension, size, stride in zip((2, 3), *pools, strict=True):
                maps = pooled(maps, dimension, size, stride)
            x = self._normalise(torch.relu(maps * self._signs(number)[:, None, None]), number)
        return x.permute(0, 2, 3, 1).flatten(1)


def pooled(x: torch.Tensor, dimension: int, size: int, stride: int) -> torch.Tensor:
    """The highest of every `size` values along a dimension; torch's own pooling also notes where they were."""
    return functools.reduce(torch.maximum, x.unfold(dimension, size, stride).unbind(-1))


class Musicnn(Tagger):
    """Filters as high as a timbre and as long as a beat, then dense layers."""

    needed = variables()
    dims = 200

    def points(self, patches: torch.Tensor) -> torch.Tensor:
        """The last layer before the tags, (batch, 200)."""
        return self(patches).penultimate

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self._fronts = [self._filters(name, norm) for norm, name in enumerate(FRONT, start=1)]

    def __call__(self, patches: torch.Tensor) -> Layers:
        """patches: (batch, time, 96) log-mel values."""
        x = self._normalise(patches[:, None], 0)
        padded = functional.pad(x, (0, 0, 3, 3))
        timbral = torch.cat([self._front(padded, 1), self._front(padded, 2)], dim=2)
        tempo = []
        for norm, length in enumerate((128, 64, 32), start=3):
            # TensorFlow's "same" for an even filter: one more zero behind than before.
            before = (length - 1) // 2
            tempo.append(self._front(functional.pad(x, (0, 0, before, length - 1 - before)), norm))
        front = torch.cat([timbral, *tempo], dim=2)
        cnn1 = self._middle(front, "conv2d_5", 6)
        cnn2 = self._middle(cnn1, "conv2d_6", 7) + cnn1
        cnn3 = self._middle(cnn2, "conv2d_7", 8) + cnn2
        features = torch.cat([front, cnn1, cnn2, cnn3], dim=2)
        pooled = torch.stack([features.amax(dim=1), features.mean(dim=1)], dim=2).flatten(1)
        pooled = self._normalise(pooled, 9)
        dense = torch.relu(pooled @ self._w["dense/kernel"] + self._w["dense/bias"])
        penultimate = self._normalise(dense, 10)
        logits = penultimate @ self._w["dense_1/kernel"] + self._w["dense_1/bias"]
        return Layers(timbral, torch.cat(tempo, dim=2), cnn1, cnn2, cnn3, penultimate, logits)

    def _front(self, x: torch.Tensor, norm: int) -> torch.Tensor:
        """Convolution over (time, bands), ReLU, normalisation, highest over all bands: (batch, time, channels)."""
        highest = functional.conv2d(x, *self._fronts[norm - 1]).amax(dim=3) * self._signs(norm)[:, None]
        return self._normalise(torch.relu(highest), norm).transpose(1, 2)

    def _middle(self, x: torch.Tensor, name: str, norm: int) -> torch.Tensor:
        """Convolution over 7 frames and all channels, ReLU, normalisation: (batch, time, 64)."""
        kernel = self._w[f"{name}/kernel"][:, :, 0].permute(2, 1, 0)
        maps = functional.conv1d(functional.pad(x.transpose(1, 2), (3, 3)), kernel, self._w[f"{name}/bias"])
        return self._normalise(torch.relu(maps), norm).transpose(1, 2)


def log_mel(audio: Audio) -> NDArray[np.float32]:
    """The network's input: log10(1 + 10000 m) of 96 mel bands of power, 512-sample frames every 256: (frames, 96).

    As librosa.feature.melspectrogram with its defaults: frames centred on their time (the ends mirrored), unscaled
    Hann spectra, Slaney's mel scale with filters of equal area.
    """
    x = np.asarray(audio, dtype=np.float32)
    if len(x) <= FFT // 2:
        return np.zeros((0, BANDS), dtype=np.float32)
    power = (
        spectra.power_spectrogram(np.pad(x, FFT // 2, mode="reflect"), FFT, HOP) * float(spectra.hann(FFT).sum()) ** 2
    )
    return np.log10(1 + 10000 * (power @ slaney_bank())).astype(np.float32)


def slaney_bank() -> NDArray[np.float32]:
    """Triangular filters on Slaney's mel scale (Auditory Toolbox 1998), each of area 2 over its width: (257, 96)."""
    step = np.log(6.4) / 27

    def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(step * (mel - 15)))

    top = 15 + np.log(RATE_HZ / 2 / 1000) / step
    edges = to_hz(np.linspace(0, top, BANDS + 2))
    bins = np.fft.rfftfreq(FFT, 1 / RATE_HZ)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank = np.maximum(0, np.minimum(rise, fall)) * 2 / (edges[2:] - edges[:-2])
    return bank.astype(np.float32)


def embeddings() -> tuple[Embedding, ...]:
    """The two networks as embeddings. Raises `Problem` if the package is not installed or damaged."""
    musicnn, vgg = networks()
    return Embedding("musicnn", musicnn.embed), Embedding("vgg", vgg.embed)


def networks() -> tuple[Musicnn, Vgg]:
    """The two networks with their weights. Raises `Problem` if the package is not installed or damaged."""
    package = importlib.util.find_spec("musicnn")
    if package is None or not package.submodule_search_locations:
        raise Problem("musicnn is not installed. Install it with: .venv/bin/pip install --no-deps musicnn==0.1.0")
    folder = Path(package.submodule_search_locations[0])
    return Musicnn(read_folder(folder / MUSICNN)), Vgg(read_folder(folder / VGG))


def read_folder(folder: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of the checkpoint in a folder of the wheel. Raises `Problem` if it is missing or damaged."""
    with tempfile.TemporaryDirectory() as links:
        # Its checkpoint has an empty name (".index"); the reader wants one.
        for suffix in (".index", ".data-00000-of-00001"):
            (Path(links) / f"{folder.name}{suffix}").symlink_to((folder / suffix).resolve())
        index = tensorflow_checkpoint.read_index(Path(links) / f"{folder.name}.index")
        return tensorflow_checkpoint.read_tensors(index)
