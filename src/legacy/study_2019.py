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
PUBLISHED_SECONDS_PER_CLIP = 1909.0
PUBLISHED_TRAINING_DAYS = 4.0
PUBLISHED_CLIP_SECONDS = 30.0
"""docs/index.md: "average time … approximately 1909 seconds"; "roughly 4 days"; "converted their first 30 seconds"."""
CLIP_SECONDS = 120.0
"""source/musicHandler.py: `output[:2*60*1000]`."""
LOOP_PAUSE_S = 10.0
"""source/AutoRun.sh: a restart line is written when a process has died; the next one starts this much later."""
STARTED_AFTER = "2019-11-24T04:32:56"
"""Name of the study's log folder (source/Makefile), which the reference makes at its start."""
GENERATION_ORDER = tuple((step, genre) for step in CHECKPOINTS for genre in GENRES)
"""source/Makefile, `terribleScan`: every genre of a checkpoint, then the next checkpoint."""
UNSTAMPED_AFTER = 1
"""The same Makefile's line behind the first clip lacks its `echo`, so no stamp was written there."""

BATCH_SIZE = 2
SAMPLE_SIZE = 100_000
"""The reference's train.py: scored samples of a piece; a song of 120 s makes 19 whole pieces and a fifth of one."""
CHECKPOINT_EVERY = 10
"""source/AutoRun.sh, --checkpoint_every. Saving also flushes the log's buffer, so the log is only ever written up to
a checkpoint."""
SHORTEST_RMS = 0.3
"""The reference's silence_threshold: what is never louder than this is dropped without a trace."""
