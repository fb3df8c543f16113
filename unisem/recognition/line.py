"""`TextLine`: one line of words that was read in a picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text in a picture.

    Attributes:
        text: Its words, without control characters.
        box: Left, top, right, bottom in pixels of the upright picture, from its top left corner; of
            a line that leans, what holds it.
        confidence: How sure the recogniser is of its letters, 0 to 1.
        turn: Degrees, 0, 90, 180 or 270, by which the line is turned clockwise from upright.
    """

    text: str
    box: tuple[float, float, float, float]
    confidence: float
    turn: int = 0

    @property
    def height(self) -> float:
        """Pixels across its letters."""
        left, top, right, bottom = self.box
        return right - left if self.turn in (90, 270) else bottom - top
