"""Audio from a checkpoint, for every genre.

In: checkpoints/step-20/. Out: generations/step-20/, which later stages read with `generations`.

    python -m src.generate --steps 20
"""
