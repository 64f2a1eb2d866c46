"""The fast paths on a GPU: captured training steps, generation without a return to Python."""
