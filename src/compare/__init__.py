"""Checkpoints side by side: a table in the terminal, a page with sound.

In: metrics/, generations/, the journal. Out: reports/compare-20-15000/.

    python -m src.compare --steps 20 15000
"""
