"""Trains the network through every interruption.

In: data/clips/. Out: work/train/<fingerprint>/ (journal, checkpoints), checkpoints/ (the compared steps).

    python -m src.train
"""
