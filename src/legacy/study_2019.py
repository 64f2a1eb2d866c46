"""What is published of the 2019 study besides its logs: facts, each with its source.

The study is github.com/franceme/WaveNetExploration (public domain). These facts are used only for its own log (known by
what its lines say); nothing here is applied to another run.
"""

TRAINING_SHA256 = "a6b31a95e9ed4d92020ff3f6e6f40c90ee4a8732f2123b816f478eb5ac02f9bf"
"""Digest of what jupyterSandbox/training.txt says (`TrainingLog.sha256`)."""

RATE_HZ = 16000
GENRES = ("classical", "hardcore", "hip", "metal", "rock")
"""In the order of their ids (docs/index.md; alphabetical)."""
SONGS = {"classical": 365, "hardcore": 275, "hip": 1418, "metal": 3179, "rock": 3683}
"""Songs used (jupyterSandbox/WaveNetExploration_DataHandling.ipynb)."""
MANUAL_RESTARTS = (343, 870, 1010)
"""Last steps before restarts by a person (the same notebook's `stoppedSteps`)."""
SECOND_COMPUTER = range(344, 871)
"""Steps done on the second of two computers; the first did those before and behind (docs/index.md, "Environment
Clarification")."""
CHECKPOINTS = (20, 5020, 10020, 15000)
CLIP_FRAMES = 480_000
"""Samples generated for each clip (source/Makefile, --samples)."""
PRIMER_FRAMES = 5117
"""Samples in front of what was generated: 5116 of silence and a random one (the reference's generate.py)."""
GENERATION_ORDER = tuple((step, genre) for step in CHECKPOINTS for genre in GENRES)
"""source/Makefile, `terribleScan`: every genre of a checkpoint, then the next checkpoint."""
