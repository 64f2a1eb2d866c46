"""A reproducibility harness around WaveNet music generation.

The pipeline, a room for each stage, run as `python -m src.<stage>`:

    library   composes the demo songs, or records which private library is used
    manifest  reads every file of the library: kept, or skipped with a reason
    clips     decodes the kept songs to mono at the study's rate and splits them by song into train and validation
    train     trains the WaveNet through every interruption; keeps the compared checkpoints
    generate  makes audio with each compared checkpoint, for every genre
    evaluate  measures each checkpoint on songs it was never trained on, and the audio made with it
    compare   contrasts checkpoints: a table in the terminal, a page with sound in reports/

Beside it: `make seeds` trains again with other seeds, `status` says how a training is doing, `preview` compares the
checkpoints that it has so far, `doctor` says what is wrong with the checkout and its environment, `reproduced` how far
the results are the published ones, `legacy` imports the 2019 study as a run in the same formats, `bundle` makes of a
study what may be published, and `audit` checks what somebody says of one.

Exit status: 0 done; 1 a problem, said in one sentence with its way out; 2 an option that is not known; 130, 143 or 129
ended by Ctrl-C, SIGTERM or a lost terminal, and the same command goes on. `audit` has its own: 1 says that something
is refuted, 2 that there was nothing to audit. `--help` lists a command's options.

A later stage may import an earlier one, and all import the rooms below them: `record` makes a run durable and
traceable, `wavenet` is the network and nothing else, `audio` decodes and encodes, `config` reads the parameters, `base`
holds tools. pyproject.toml says so as contracts, and `make check` holds them. docs/formats.md says what lies between
the stages.
"""
