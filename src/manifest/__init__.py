"""Every file of the library: kept, or skipped with a reason.

In: the library. Out: data/manifest.csv, metrics/manifest.json.

    python -m src.manifest
"""
