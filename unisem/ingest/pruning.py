"""`Pruning`: whether records are removed whose files have gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

_ASKED = "--prune, or Pruning.NOW, removes them all the same"


class Pruning(StrEnum):
    """Who has asked that records go with their files.

    Attributes:
        NEVER: Nobody; they are named.
        STANDING: Somebody, for every run, so that it must be plain that files were deleted. What is
            there and left out stays, and what was in a folder that is missing or empty; and all if
            more than half of the records would go, as where a drive is not mounted.
        NOW: Somebody, for this very run; not if there is no file at all.
    """

    NEVER = "never"
    STANDING = "standing"
    NOW = "now"

    @classmethod
    def of(cls, wish: bool | Pruning) -> Pruning:
        """What a plain yes or no means: yes for every run, or never."""
        if isinstance(wish, Pruning):
            return wish
        return cls.STANDING if wish else cls.NEVER

    def pruned(
        self,
        gone: Sequence[str],
        here: int,
        is_deleted: Callable[[str], bool],
        *,
        is_empty: bool,
    ) -> tuple[tuple[str, ...], str | None]:
        """Which records go of those that have lost their files, and why others stay, in words.

        Args:
            gone: Ids of the records that have lost their files.
            here: Records of files that are there.
            is_deleted: Whether it is plain that a record's file was deleted.
            is_empty: Whether there is no file at all.

        >>> Pruning.STANDING.pruned(["a", "x/b"], 5, lambda it: "/" not in it, is_empty=False)[0]
        ('a',)
        >>> Pruning.NOW.pruned(["a", "x/b"], 1, lambda it: False, is_empty=False)
        (('a', 'x/b'), None)
        """
        if not gone:
            return (), None
        if self is Pruning.NEVER:
            return (), "found until --prune removes them"
        if is_empty:
            return (), "kept, as the folder is empty; is its drive mounted?"
        if self is Pruning.NOW:
            return tuple(gone), None
        deleted = tuple(filter(is_deleted, gone))
        if len(deleted) > here:
            return (), f"kept, as more than half of its records would go; {_ASKED}"
        if len(deleted) < len(gone):
            return deleted, f"kept, as left out now, or in a folder missing or empty; {_ASKED}"
        return deleted, None
