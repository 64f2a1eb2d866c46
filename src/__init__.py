"""A reproducibility harness around WaveNet music generation.

The pipeline, one module per stage, each run as `python -m src.<stage>`:

    library   composes the demo songs, or records which private library is used
    manifest  reads every file of the library: kept, or skipped with a reason
    clips     decodes the kept songs to 16 kHz mono and splits them by song into train and validation
    train     trains the WaveNet through every interruption; keeps the compared checkpoints
    evaluate  measures each checkpoint on songs it was never trained on
    generate  makes audio with each compared checkpoint, for every genre
    compare   contrasts checkpoints: a table in the terminal, a page with sound in reports/

Stages call rooms, rooms never call stages. `music/` reads and composes music, `wavenet/` is the network and
nothing else, `run/` makes a run durable and traceable, `report/` draws. docs/formats.md says what lies
between the stages.
"""
