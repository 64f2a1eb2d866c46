"""`python -m src`: the commands in the order of the pipeline."""

import src

print(src.__doc__)
