"""Generation sample by sample: codes of any length, for several genres at once, in constant memory.

In: a network, the genre of each stream and a function that gives the uniform number of each sample. Out: an
iterator of code chunks, written while they go. A stream's codes depend on its own genre, primer and numbers
alone: they are bit for bit the same alone and beside others, and however the streams are shared out.
Source: the fast generation of Paine et al. 2016 (arXiv 1611.09482).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from src.base.errors import Problem
from src.wavenet.gpu.device_streams import DeviceStreams
from src.wavenet.network import WaveNet, check_genres
from src.wavenet.sampling import Sampling

if TYPE_CHECKING:
    from src.wavenet.cpu.streams import Streams

Codes = npt.NDArray[np.integer]
Doubles = npt.NDArray[np.float64]
Uniforms = Callable[[int, int, int], Doubles]
"""(stream, first sample, count) → that stream's numbers in [0, 1)."""

_STREAM = 0x67656E65  # keeps these numbers apart from those of the weights and of the batches


def uniforms(seed: int, step: int, genre: int | None, clip: int, start: int, count: int) -> Doubles:
    """The numbers in [0, 1) that pick samples start … start + count - 1 of a clip (Philox, counter-based).

    seed: of the study, step: of the checkpoint, genre: id or None, clip: number within the genre.
    """
    block = start // 4
    generator = np.random.Philox(key=[seed, _STREAM], counter=[block, clip, step, 0 if genre is None else genre + 1])
    raw = generator.random_raw(start - 4 * block + count)[start - 4 * block :]
    numbers: Doubles = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers


def generate(
    models: Sequence[WaveNet],
    genres: Sequence[int | None],
    frames: int,
    uniforms: Uniforms | Doubles,
    sampling: Sampling = Sampling(),
    *,
    primers: Sequence[Codes | None] | None = None,
    chunk_frames: int = 1600,
    threads: int = 1,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[npt.NDArray[np.int64]]:
    """Codes of new audio, chunk after chunk: (streams, up to chunk_frames), values 0..Q-1.

    models: networks of one shape on one device, the checkpoints of a study. genres: one id for each stream (None for a
    network without genres); every network has these streams, and all are counted network by network: streams are
    models · genres. frames: length in samples. uniforms: function, or array (streams, frames), of the number in [0, 1)
    that picks each sample. primers: recorded codes for each of a network's streams (or None), taken in before the first
    sample; they are not part of the output. threads: streams are shared out over these. on_progress: told the number of
    samples made since the last
    call, over all streams. Raises `Problem` for lengths, genres, primers or settings out of range.
    """
    for model in models:
        _check(model, genres, frames, sampling, primers, chunk_frames)
    groups: Sequence[Streams | DeviceStreams]
    if next(models[0].parameters()).is_cuda:
        groups = [DeviceStreams(models, genres, sampling)]
    else:
        from src.wavenet.cpu import streams

        groups = [streams.Streams(model, genres, sampling, threads) for model in models]
    for group in groups:
        group.start(primers)
    count_of_streams = len(models) * len(genres)
    for first in range(0, frames, chunk_frames):
        count = min(chunk_frames, frames - first)
        if callable(uniforms):
            numbers = np.stack([uniforms(stream, first, count) for stream in range(count_of_streams)])
        else:
            numbers = uniforms[:, first : first + count]
        shares = np.split(numbers, len(groups))
        yield np.concatenate([group.sample(share) for group, share in zip(groups, shares, strict=True)])
        if on_progress is not None:
            on_progress(count * count_of_streams)


def _check(
    model: WaveNet,
    genres: Sequence[int | None],
    frames: int,
    sampling: Sampling,
    primers: Sequence[Codes | None] | None,
    chunk_frames: int,
) -> None:
    codes = model.config.quantization_channels
    if frames < 1 or chunk_frames < 1 or not genres:
        raise Problem(f"{len(genres)} clips of {frames} samples cannot be generated: both must be 1 or more.")
    named = [genre for genre in genres if genre is not None]
    if named and len(named) < len(genres):
        raise Problem("Some clips have a genre and some have none.")
    check_genres(model.config, named or None)
    if sampling.top_k is not None and sampling.top_k > codes:
        raise Problem(f"top_k is {sampling.top_k}; it must be in 1..{codes}.")
    for primer in primers or ():
        if primer is not None and len(primer) and not (np.min(primer) >= 0 and np.max(primer) < codes):
            raise Problem(f"A primer has codes outside 0..{codes - 1}: it was encoded for another network.")
