"""The demo library's music, composed from a seed."""
