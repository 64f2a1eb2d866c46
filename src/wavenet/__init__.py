"""The network and nothing else: no files, no MLflow, no DVC."""
