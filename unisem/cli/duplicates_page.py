"""`DuplicatesPage`: groups of duplicates as one HTML file that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from unisem.cli.duplicate_words import facts_of, name_of, size_of, summary
from unisem.cli.page import link_of, script, script_digest
from unisem.common.pages import render_page
from unisem.images.reference import ImageRef
from unisem.images.thumbnails import Thumbnails
from unisem.search.duplicate_groups import DuplicateGroup

_GROUPS = 500  # on a page
_COPIES = 24  # of a group
_SIDE = 320  # pixels of a small copy's longer side
_LIMIT = 60_000_000  # characters of all small copies


@dataclass(frozen=True, slots=True)
class DuplicatesPage:
    """A page of groups, of which there are as many as a browser shows.

    Attributes:
        name: The space.
        pictures: How many there are in it.
        groups: Largest first.
    """

    name: str
    pictures: int
    groups: tuple[DuplicateGroup, ...]

    def render(self, place: Path) -> str:
        """Return the HTML.

        Args:
            place: The folder that the page will lie in, where its links start from.
        """
        copies = Thumbnails(_LIMIT, side=_SIDE)
        return render_page(
            "unisem.cli",
            "duplicates.html.j2",
            page=replace(self, groups=self.groups[:_GROUPS]),
            left=max(0, len(self.groups) - _GROUPS),
            most=_COPIES,
            summary=summary(self.pictures, self.groups),
            thumbnail=lambda image: copies.of(ImageRef.of(image)),
            link_of=lambda record: link_of(record, None, place),
            facts_of=lambda copy: [it for it in facts_of(copy) if it not in copy.merits],
            name_of=name_of,
            size_of=size_of,
            script=script(),
            script_digest=script_digest(),
        )

    def write(self, path: Path) -> None:
        """Write the page as UTF-8.

        Raises:
            OSError: The file cannot be written.
        """
        path.write_text(self.render(path.parent), encoding="utf-8")
