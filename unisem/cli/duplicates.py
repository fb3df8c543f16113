"""``unisem duplicates``: which pictures are there more than once, and which copy to keep."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from unisem.cli.duplicate_words import facts_of, name_of, summary
from unisem.cli.options import ImageRoots, Space
from unisem.cli.progress import progress_bar
from unisem.cli.terminal import amount, note, results
from unisem.common.printable import plain

if TYPE_CHECKING:
    from unisem.records import Record
    from unisem.search.duplicate_groups import Copy, DuplicateGroup
    from unisem.space import SemanticSpace

_SHOWN = 10  # groups, and copies of one, on the terminal


def duplicates(
    space: Space,
    which: Annotated[
        Literal["same", "near"],
        typer.Option(help="The same byte for byte, or also those that look nearly the same."),
    ] = "near",
    page: Annotated[
        Path | None, typer.Option("--html", metavar="PAGE", help="Write the groups to a page, too.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Print every group, whole.")] = False,
    image_roots: ImageRoots = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show pictures that are there more than once, and which copy to keep; nothing is deleted."""
    from unisem.cli.search import open_existing
    from unisem.search.duplicate_groups import duplicate_groups
    from unisem.stores.selection import Selection

    with open_existing(space) as opened:
        for root in image_roots or ():
            opened.image_library.allow(root)
        looks = _looks(opened) if which == "near" else {}
        records = list(opened.store.select(Selection(modality="image")))
        pictures = _files(records)
        groups = duplicate_groups(records, near=which == "near", looks=looks)
        if page is not None:
            from unisem.cli.duplicates_page import DuplicatesPage

            name = str(opened.place or "in memory")
            DuplicatesPage(name, pictures, tuple(groups)).write(page)
            note(f"wrote {page}")
    if as_json:
        sys.stdout.write(json.dumps(_as_json(pictures, groups), indent=2) + "\n")
        return
    out = results()
    shown = groups if show_all else groups[:_SHOWN]
    for number, group in enumerate(shown, start=1):
        for line in _lines(number, group, len(group.copies) if show_all else _SHOWN):
            out.print(line, soft_wrap=True)
    if left := len(groups) - len(shown):
        note(f"and {amount(left, 'more group')}; --all prints them, --html PAGE shows them")
    out.print(summary(pictures, groups), soft_wrap=True)


def _files(records: list[Record]) -> int:
    """How many files the pictures are that are no parts of documents; links to one are one."""
    from unisem.search.duplicate_groups import Copy

    return len({Copy.of(it).file for it in records if it.image and it.image.region is None})


def _looks(space: SemanticSpace) -> dict[str, str]:
    """Looks of pictures that were taken in before they were kept; they are kept if they can be."""
    from unisem.errors import StoreError, StoreLockedError
    from unisem.ingest.looking import looked_at, remember_looks, without_look

    waiting = without_look(space.store)
    if not waiting:
        return {}
    with suppress(StoreError, StoreLockedError), progress_bar("looking") as advance:
        remember_looks(space.store, progress=advance)
        return {}
    found = (record.image for record in looked_at(waiting))
    return {str(it.sha256): it.look for it in found if it is not None and it.look is not None}


def _lines(number: int, group: DuplicateGroup, most: int) -> list[Text]:
    how = "the same file" if group.kind == "same" else "nearly the same"
    head = Text.assemble((f"{number}. ", "dim"), (how, "bold"), f", {len(group.copies):,} times")
    lines = [head]
    for place, copy in enumerate(group.copies[:most]):
        line = Text("   keep  " if place == 0 else "         ", style="green" if place == 0 else "")
        line.append(plain(name_of(copy)), style="" if place else "bold")
        line.append(f"  {', '.join(facts_of(copy))}", style="dim")
        if copy.is_gone:
            line.append("  its file is gone", style="red")
        lines.append(line)
    if (left := len(group.copies) - most) > 0:
        lines.append(Text(f"         and {left:,} more", style="dim"))
    return lines


def _as_json(pictures: int, groups: list[DuplicateGroup]) -> dict[str, Any]:
    return {
        "pictures": pictures,
        "copies": sum(len(group.copies) - 1 for group in groups),
        "bytes": sum(group.spare for group in groups),
        "groups": [
            {
                "kind": group.kind,
                "keep": group.copies[0].record.id,
                "bytes": group.spare,
                "copies": [_copy_as_json(copy) for copy in group.copies],
            }
            for group in groups
        ],
    }


def _copy_as_json(copy: Copy) -> dict[str, Any]:
    image = copy.record.image
    assert image is not None
    return {
        "id": copy.record.id,
        "image": None if image.path is None else str(image.path),
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "bytes": copy.size,
        "modified": None if copy.modified is None else copy.modified.isoformat(),
        "is_gone": copy.is_gone,
        "text": copy.record.text,
        "merits": list(copy.merits),
    }
