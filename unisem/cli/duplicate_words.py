"""What is said of groups of duplicates, on the terminal and on a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unisem.cli.terminal import amount

if TYPE_CHECKING:
    from unisem.search.duplicate_groups import Copy, DuplicateGroup


def summary(pictures: int, groups: Sequence[DuplicateGroup]) -> str:
    """How much there is more than once, in a sentence."""
    if not groups:
        return f"{amount(pictures, 'picture')}, none of them twice"
    spare = sum(len(group.copies) - 1 for group in groups)
    size = sum(group.spare for group in groups)
    return (
        f"{amount(len(groups), 'group')} among {amount(pictures, 'picture')}: "
        f"{spare:,} {'copy' if spare == 1 else 'copies'} could go, {size_of(size)}"
    )


def size_of(size: int) -> str:
    """Bytes, as people read them."""
    return f"{size / 1e6:,.1f} MB" if size >= 1_000_000 else f"{size / 1000:,.0f} kB"


def name_of(copy: Copy) -> str:
    """Where a copy is, or else what it is called."""
    image = copy.record.image
    if image is None or image.path is None:
        return copy.record.id
    return str(image.path)


def facts_of(copy: Copy) -> list[str]:
    """What tells copies apart."""
    image = copy.record.image
    assert image is not None
    found = [f"{image.width} × {image.height}"] if image.width and image.height else []
    if copy.size:
        found.append(size_of(copy.size))
    if copy.modified is not None:
        found.append(f"{copy.modified.astimezone():%Y-%m-%d}")
    return [*found, *copy.merits]
