"""Measures: pure functions from arrays to figures with intervals. No files, no clock; randomness is a seed."""
