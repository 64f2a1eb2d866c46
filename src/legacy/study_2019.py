"""What is published of the 2019 study besides its logs, and what its tools do: facts, each with its source.

The study is github.com/franceme/WaveNetExploration (public domain). These facts are used only for its own log (known by
its SHA-256); nothing here is applied to another run.
"""

CYCLE = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Dilations of one stack in the reference's default wavenet_params.json; five stacks."""

TRAINING_SHA256 = "b0b6d0ef4e4ba666a8e91ee71bb4f96e9884d721b5c99e85574f28a3c5874430"
"""SHA-256 of jupyterSandbox/training.txt."""

RATE_HZ = 16000
GENRES = ("classical", "hardcore", "hip", "metal", "rock")
"""In the order of their ids (docs/index.md; alphabetical)."""
SONGS = {"classical": 365, "hardcore": 275, "hip": 1418, "metal": 3179, "rock": 3683}
"""Songs used (jupyterSandbox/WaveNetExploration_DataHandling.ipynb)."""
MANUAL_RESTARTS = (343, 870, 1010)
"""Last steps before a person moved the training (the same notebook's `stoppedSteps`)."""
CHECKPOINTS = (20, 5020, 10020, 15000)
CLIP_FRAMES = 480_000
"""Samples generated for each clip (source/Makefile, --samples)."""
PRIMER_FRAMES = 5117
"""Samples in front of what was generated: 5116 of silence and a random one (the reference's generate.py)."""
GENERATION_ORDER = tuple((step, genre) for step in CHECKPOINTS for genre in GENRES)
"""source/Makefile, `terribleScan`: every genre of a checkpoint, then the next checkpoint."""
