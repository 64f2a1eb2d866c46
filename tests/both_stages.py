"""Manifest and clips in one process, as one of several processes of `torchrun` (see tests/clips/test_clips.py)."""

from pathlib import Path

from src.base import console
from src.base.share import Share
from src.clips import __main__ as clips
from src.manifest import __main__ as manifest

WORK = Path("work/shared")

if __name__ == "__main__":
    manifest.main(work=WORK)
    # As between two starts of `torchrun`: the first process has written before the next stage begins anywhere.
    Share.of_environment().gather([])
    clips.main(work=WORK)
    console.out.file.flush()
