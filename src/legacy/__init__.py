"""What ibab's tensorflow-wavenet left behind, as a run in our formats.

In: a folder with its log, checkpoints and WAVs. Out: work/runs/<name>/.

    python -m src.legacy DIR
"""
