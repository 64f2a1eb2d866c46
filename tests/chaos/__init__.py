"""Break a training for real, in every way we know, and print a table of what it survived: `make chaos`."""
