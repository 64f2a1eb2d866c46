"""Benchmarks of this machine: `python -m benchmarks <command>`; each prints a table and writes JSON."""
