"""`TextLine`: one line of words that was read in a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST = 30.0  # degrees that a line may lean until its sides are not to be told from its box


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text in a picture.

    Attributes:
        text: Its words, without control characters.
        box: Left, top, right, bottom in pixels of the upright picture, from its top left corner; of
            a line that leans, what holds it.
        confidence: How sure the recogniser is of its letters, 0 to 1.
        turn: Degrees, 0, 90, 180 or 270, by which the line is turned clockwise from upright.
        lean: Degrees, -45 to 45, by which it leans clockwise beyond that.
    """

    text: str
    box: tuple[float, float, float, float]
    confidence: float
    turn: int = 0
    lean: float = 0.0

    @property
    def sides(self) -> tuple[float, float]:
        """Pixels along its words and across them, however it stands and leans."""
        left, top, right, bottom = self.box
        along, across = right - left, bottom - top
        if self.turn in (90, 270):
            along, across = across, along
        if abs(self.lean) > _MOST:  # what holds it tells too little of it
            return along, across
        # What holds a rectangle w by h that leans is w·cos + h·sin wide and w·sin + h·cos high.
        cos, sin = math.cos(math.radians(self.lean)), abs(math.sin(math.radians(self.lean)))
        less = cos**2 - sin**2
        width, height = (along * cos - across * sin) / less, (across * cos - along * sin) / less
        return max(width, 1.0), max(height, 1.0)
