"""`Pruning`: whether records are removed whose files have gone."""

from __future__ import annotations

from enum import StrEnum


class Pruning(StrEnum):
    """Who has asked that records go with their files.

    Attributes:
        NEVER: Nobody; they are named.
        STANDING: Somebody, once, for every run; not if more than half of the records would go, as
            where a drive is not mounted.
        NOW: Somebody, for this very run; not if there is no file at all.
    """

    NEVER = "never"
    STANDING = "standing"
    NOW = "now"

    def withheld(self, gone: int, here: int, *, is_empty: bool) -> str | None:
        """Why records that have lost their files stay, in words; ``None`` if they go.

        Args:
            gone: Records that have lost their files.
            here: Records of files that are there.
            is_empty: Whether there is no file at all.

        >>> Pruning.STANDING.withheld(6, 5, is_empty=False)
        'kept, as more than half of its records would go; --prune removes them all the same'
        >>> Pruning.NOW.withheld(6, 5, is_empty=False)
        """
        if is_empty and self is not Pruning.NEVER:
            return "kept, as the folder is empty; is its drive mounted?"
        if self is Pruning.NEVER:
            return "found until --prune removes them"
        if self is Pruning.STANDING and gone > here:
            return (
                "kept, as more than half of its records would go; --prune removes them all the same"
            )
        return None
