"""`Refresher`: gives a service newer versions of the published spaces that it serves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from unisem.errors import UniSemError
from unisem.exchange.replicas.replica import OpenVersion, Published
from unisem.service.service import Service

_log = logging.getLogger(__name__)
_LONGEST = 3600.0  # seconds of one wait; the system has a limit
_SOON = 0.5  # seconds until it is looked again whether what was replaced has answered


class Refresher:
    """Looks for newer versions now and then, in a thread of its own.

    What cannot be had costs nothing: the present version is served on, and the next look tries
    again.

    Args:
        service: What serves them.
        published: Where each is published, by the space's name.
        opened: The versions that are served now.
        seconds: Between two looks.
    """

    def __init__(
        self,
        service: Service,
        published: Mapping[str, Published],
        opened: Mapping[str, OpenVersion],
        seconds: float,
    ) -> None:
        self._service = service
        self._published = published
        self._present = dict(opened)
        self._seconds = seconds
        self._told: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look from now on."""
        if self._published:
            self._thread = threading.Thread(target=self._work, name="unisem-refresh", daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Look once, and serve what is newer."""
        for name, published in self._published.items():
            try:
                opened = published.newer(self._present[name])
                if opened is not None:
                    self._service.replace(name, opened)
                    self._present[name] = opened
                self._told.pop(name, None)
            except (UniSemError, OSError) as error:
                self._service.failures[name] += 1
                if self._told.get(name) != str(error):  # once, not with every look
                    self._told[name] = str(error)
                    number = self._present[name].version.number
                    _log.warning("%s: version %d is served on; %s", name, number, error)

    def tidy(self) -> bool:
        """Close what was replaced and has answered, and free its disk; whether all of it has."""
        if self._service.close_unused():
            return False
        for name, published in self._published.items():
            try:
                published.tidy(self._present[name])
            except (UniSemError, OSError) as error:
                _log.warning("%s: an older version is still on the disk; %s", name, error)
        return True

    def close(self) -> None:
        """Look no longer, and fetch no further; safe to call twice."""
        self._stop.set()
        for published in self._published.values():
            published.stop()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        is_tidy, due = False, time.monotonic() + self._seconds
        while not self._stop.wait(
            min(max(0.0, due - time.monotonic()), _LONGEST) if is_tidy else _SOON
        ):
            try:
                if time.monotonic() >= due:
                    due = time.monotonic() + self._seconds
                    self.look()
                    due = time.monotonic() + self._seconds
                is_tidy = self.tidy()
            except Exception:  # noqa: BLE001 - a thread that ends would never look again
                _log.exception("looking for newer versions failed; it is tried again")
