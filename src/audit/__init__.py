"""Checks a study that somebody else may have made: what it says against what can be recomputed.

In: a checkout with results, or a bundle of `src.bundle`. Out: a certificate. Nothing of what is audited is executed.

    python -m src.audit bundle.zip
"""
