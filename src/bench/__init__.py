"""Benchmarks of this machine: `python -m src.bench <command>`; each prints a table and writes JSON."""
