"""Measures of the checkpoints and of what was generated, beside references, with intervals.

In: checkpoints/, generations/, data/clips/. Out: metrics/evaluate.json, which `schema` writes and reads for all.
`evaluation` reads the files and measures section by section; the measures themselves are pure functions.

    python -m src.evaluate
"""
