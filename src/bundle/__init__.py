"""What may be published of a study, in one folder that a stranger can audit.

In: params.yaml, dvc.yaml, dvc.lock, checkpoints/, generations/, metrics/, reports/, the run's journal, the commit. Out:
bundle/ and bundle.zip (docs/formats.md), signed if a key is given.

    python -m src.bundle --key private.pem
"""
