"""What happened to a run: journal, checkpoints, ends of attempts, and MLflow as a view of them."""
