"""The one exception whose message is meant for the person at the keyboard."""


class Problem(Exception):
    """Something the user can put right.

    The message is one or more plain sentences that name the file, the value and the way out; it is
    printed without a traceback and the program exits with status 1 (`base/console.py`).
    """
