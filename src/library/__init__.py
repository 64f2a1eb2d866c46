"""Which library is studied: the demo that is composed here, or a folder of your own.

In: MUSIC_LIBRARY, or the `library` section of the profile. Out: data/library.json, data/demo-library/.

    python -m src.library
"""
