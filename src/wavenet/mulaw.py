"""Mu-law companding: audio in [-1, 1] to codes 0..channels-1 and back, code for code as the reference.

Source: van den Oord et al. 2016 (arXiv 1609.03499), section 2.2; `mu_law_encode` and `mu_law_decode` of
ibab/tensorflow-wavenet. Zero becomes code channels / 2 (128 of 256), which decodes to 8.62e-5: no code is
exactly zero.
"""

import numpy as np
import numpy.typing as npt
import torch


def encode(audio: npt.NDArray[np.floating] | torch.Tensor, channels: int = 256) -> npt.NDArray[np.int64]:
    """Codes of a waveform, of the same shape, int64 in 0..channels-1; beyond ±1 the audio is clipped.

    Computed in float64, so that the last bit of a machine's logarithm cannot move a code.
    """
    waveform = np.asarray(audio, dtype=np.float64)
    mu = channels - 1
    magnitude = np.log1p(mu * np.minimum(np.abs(waveform), 1.0)) / np.log1p(mu)
    codes: npt.NDArray[np.int64] = ((np.sign(waveform) * magnitude + 1) / 2 * mu + 0.5).astype(np.int64)
    return codes


def decode(codes: npt.NDArray[np.integer] | torch.Tensor, channels: int = 256) -> npt.NDArray[np.float32]:
    """The waveform of codes, of the same shape, float32 in [-1, 1]."""
    mu = channels - 1
    signal = 2 * (np.asarray(codes, dtype=np.float64) / mu) - 1
    audio: npt.NDArray[np.float32] = (np.sign(signal) * ((1.0 + mu) ** np.abs(signal) - 1) / mu).astype(np.float32)
    return audio


def silence(channels: int = 256) -> int:
    """The code of a zero."""
    return int(encode(np.zeros(1), channels)[0])
