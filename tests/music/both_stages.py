"""Manifest and clips in one process, as one of several processes of `torchrun` (see tests/test_clips.py)."""

from pathlib import Path

from src import clips, manifest
from src.run import console

WORK = Path("work/shared")

if __name__ == "__main__":
    manifest.main(work=WORK)
    clips.main(work=WORK)
    console.out.file.flush()
