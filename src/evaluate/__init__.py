"""Measures of the checkpoints and of what was generated, beside references, with intervals.

In: checkpoints/, generations/, data/clips/. Out: metrics/evaluate.json. All but `__main__` are pure functions.

    python -m src.evaluate
"""
