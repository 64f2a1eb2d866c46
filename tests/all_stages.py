"""Every stage as one of several processes, one after the other: a second of torch's loading instead of five.

In: the folder of a study that has checkpoints; trained-together/ in it, with the same parameters and clips. Started by
torchrun (tests/team/test_torchrun.py).
"""

import contextlib

from src.base import console
from src.base.share import Share
from src.clips import __main__ as clips
from src.evaluate import __main__ as evaluate
from src.generate import __main__ as generate
from src.manifest import __main__ as manifest
from src.train import __main__ as train

if __name__ == "__main__":
    with contextlib.chdir("trained-together"):
        train.main()
    for stage in (manifest, clips, generate, evaluate):
        # As between two starts of `torchrun`: all have written before the next stage begins anywhere.
        Share.of_environment().gather([])
        stage.main()
    console.out.file.flush()
