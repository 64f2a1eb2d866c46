"""One clip of every kept song, and which songs are never trained on.

In: data/manifest.csv and the library. Out: data/clips/ (16 kHz mono), which later stages read with `clipset`.

    python -m src.clips
"""
