"""The demo library: songs composed from a seed, on the shelves of an invented collector."""
