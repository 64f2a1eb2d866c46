"""Reading what another program left behind: ibab/tensorflow-wavenet's logs, checkpoints and audio, as runs of ours."""
