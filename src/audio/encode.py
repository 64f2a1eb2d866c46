"""Writing generated audio: 16-bit WAV while it is made, and MP3 from it, the same bytes for the same samples."""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import soundfile

from src.base.errors import Problem

with warnings.catch_warnings():
    # pydub looks for an ffmpeg of the system's while it is imported; ours is set below.
    warnings.simplefilter("ignore", RuntimeWarning)
    import pydub
    import pydub.exceptions

MP3_BITRATE = "64k"
"""Plenty for 16 kHz mono."""


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Raise `Problem` for sound that cannot be written, which the libraries call "System error"."""
    try:
        yield
    except (soundfile.SoundFileError, pydub.exceptions.PydubException) as error:
        free = shutil.disk_usage(folder).free
        raise Problem(
            f"Sound could not be written to {folder} ({str(error).splitlines()[0]}); its disk has {free:,} bytes free. "
            "Free some space and run the same command again."
        ) from error


def open_wav(path: Path, rate_hz: int) -> soundfile.SoundFile:
    """A mono 16-bit WAV file to write to piece by piece."""
    return soundfile.SoundFile(str(path), "w", samplerate=rate_hz, channels=1, subtype="PCM_16", format="WAV")


def to_int16(audio: npt.NDArray[np.floating]) -> npt.NDArray[np.int16]:
    """Samples in [-1, 1] as 16-bit integers (rounded; all 256 mu-law values stay apart)."""
    scaled: npt.NDArray[np.int16] = np.rint(np.clip(audio, -1, 1) * 32767).astype(np.int16)
    return scaled


def mp3_from_wav(wav: Path, mp3: Path) -> None:
    """Encode a WAV file as MP3 without tags; ffmpeg comes from the imageio-ffmpeg package.

    `-bitexact` keeps the encoder's name and version out of the file.
    """
    pydub.AudioSegment.converter = imageio_ffmpeg.get_ffmpeg_exe()
    samples, rate_hz = soundfile.read(str(wav), dtype="int16")
    segment = pydub.AudioSegment(samples.tobytes(), frame_rate=rate_hz, sample_width=2, channels=1)
    segment.export(
        str(mp3),
        format="mp3",
        codec="libmp3lame",
        bitrate=MP3_BITRATE,
        parameters=["-bitexact", "-map_metadata", "-1", "-id3v2_version", "0"],
    ).close()
