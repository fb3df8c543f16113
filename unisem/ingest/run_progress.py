"""`RunProgress`: how far a run is, though nobody knows how much there is."""

from __future__ import annotations

from collections.abc import Callable


class RunProgress:
    """Inputs that are done, of those that were announced and found.

    Args:
        total: Inputs that were announced; 0 if nobody knows.
        told: Called with (inputs done, inputs in all).
    """

    def __init__(self, total: int, told: Callable[[int, int], None] | None) -> None:
        self._total = total
        self._told = told
        self.done = 0

    def advance(self, inputs: int) -> None:
        """So many more are done; a file may give several records, more than were announced."""
        self.done += inputs
        if self._told is not None:
            done, total = self.done, self._total
            self._told(min(done, total) if total else done, total)

    def advance_by_page(self) -> None:
        """A page has been read."""
        self.find_more(1)
        self.advance(1)

    def find_more(self, inputs: int) -> None:
        """Reckon with more inputs than were announced, if any were."""
        if self._total:
            self._total += inputs

    def end(self) -> None:
        """All that was announced is done."""
        self.advance(max(0, self._total - self.done))
