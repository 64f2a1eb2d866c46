"""Shipping beside the training: a thread of the process that watches.

In: a way to connect to MLflow. Out: nothing that the training could wait for; what MLflow does not take is tried
again with growing pauses and said once, at the end, with the command that sends the rest.
"""

import threading
from collections.abc import Callable

from src.errors import Problem
from src.run import console
from src.run.shipping import Shipper

SHIP_EVERY_S = 10.0
LONGEST_PAUSE_S = 30.0
FINAL_SHIP_S = 60.0

Connect = Callable[[], Shipper]


class BackgroundShipping(threading.Thread):
    """Ships every few seconds until `finish`."""

    def __init__(self, connect: Connect) -> None:
        """connect: opens MLflow; may raise `TrackingError`, again and again."""
        super().__init__(name="shipping", daemon=True)
        self._connect = connect
        self._shipper: Shipper | None = None
        self._over = threading.Event()
        self._failure = "nothing was sent."

    def run(self) -> None:
        """The thread's work."""
        pause_s = SHIP_EVERY_S
        while True:
            last = self._over.wait(pause_s)
            self._failure = "sending was cut off."
            try:
                self._shipper = self._shipper or self._connect()
                self._shipper.ship()
                self._failure, pause_s = "", SHIP_EVERY_S
            except Problem as failure:
                self._failure, pause_s = str(failure), min(2 * pause_s, LONGEST_PAUSE_S)
            except Exception as failure:  # noqa: BLE001 - whatever MLflow breaks with, the next shipment tries again
                self._failure = f"{type(failure).__name__}: {failure}."
                self._shipper, pause_s = None, min(2 * pause_s, LONGEST_PAUSE_S)
            if last:
                return

    def finish(self) -> None:
        """Send the rest, within bounds."""
        self._over.set()
        self.join(FINAL_SHIP_S)
        if self.is_alive():
            self._failure = f"it has not answered for {FINAL_SHIP_S:.0f} s."
        if self._failure:
            console.warn(
                f"not every step is in MLflow yet: {self._failure} "
                "The journal has them all; `python -m src.train` sends the rest."
            )
