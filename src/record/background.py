"""Shipping beside the training: a thread of the process that watches.

In: a way to connect to MLflow. Out: nothing that the training could wait for; what MLflow does not take is tried
again with growing pauses and said once, at the end, with the command that sends the rest.
"""

import threading
from collections.abc import Callable

from src.base import console
from src.base.errors import Problem
from src.record.shipping import Shipper

SHIP_EVERY_S = 10.0
LONGEST_PAUSE_S = 30.0
FINAL_SHIP_S = 60.0
"""How long a finished training waits for MLflow to take the rest."""
HASTY_SHIP_S = 4.0
"""How long one waits that was asked to stop: who asked soon sends SIGKILL."""

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

    def finish(self, patience_s: float) -> None:
        """Send the rest, within so many seconds."""
        self._over.set()
        self.join(patience_s)
        if self.is_alive():
            self._failure = f"it has not answered for {patience_s:.0f} s."
        if self._failure:
            console.warn(
                f"not every step is in MLflow yet: {self._failure} "
                "The journal has them all; `python -m src.train` sends the rest."
            )
