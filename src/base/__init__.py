"""Tools of every room, without an opinion on any number: errors, files, console, processes, provenance."""
