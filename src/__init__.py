"""A reproducibility harness around WaveNet music generation.

The pipeline, one module per stage, each run as `python -m src.<stage>`:

    library   composes the demo songs, or records which private library is used
    manifest  reads every file of the library: kept, or skipped with a reason
    clips     decodes the kept songs to 16 kHz mono and splits them by song into train and validation
    train     trains the WaveNet through every interruption; keeps the compared checkpoints
    generate  makes audio with each compared checkpoint, for every genre
    evaluate  measures each checkpoint on songs it was never trained on, and the audio made with it
    compare   contrasts checkpoints: a table in the terminal, a page with sound in reports/

Beside it: `status` says how a training is doing, `legacy` imports the 2019 study as a run in the same formats, `bench`
measures speed.

Stages call rooms, rooms never call stages. `music/` reads and composes music, `wavenet/` is the network and nothing
else, `run/` makes a run durable and traceable, `measures/` measures sound and likelihood, `report/` draws, `imports/`
reads what other programs left. docs/formats.md says what lies between the stages.
"""
