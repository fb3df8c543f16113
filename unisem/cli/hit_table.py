"""Hits as a table on the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.style import Style
from rich.table import Table
from rich.text import Text

from unisem.common.printable import plain, shortened
from unisem.presentation.citation import citation

if TYPE_CHECKING:
    from unisem.images.library import ImageLibrary
    from unisem.records import Record
    from unisem.stores.hits import Hit

_LONGEST = 160  # characters of a caption or text in a table
_DOUBTFUL = 0.1  # probability below which the best hit is wrong nineteen times of twenty


def hits_table(hits: Sequence[Hit], library: ImageLibrary | None = None) -> Table:
    """Rank, score, id or citation, text and what was matched; a picture's id links to its file.

    How probable it is that a hit is relevant stands beside the score, if it is known of any.

    Args:
        hits: Best first.
        library: Knows the files that texts are from; without one, none of them links or is missed.
    """
    are_known = any(hit.relevance is not None for hit in hits)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("score", justify="right")
    if are_known:
        table.add_column("relevant", justify="right")
    table.add_column("id", overflow="fold", max_width=44)
    table.add_column("text", overflow="fold", ratio=1)
    table.add_column("found by")
    for rank, hit in enumerate(hits, start=1):
        table.add_row(
            str(rank),
            score_of(hit),
            *([_percent(hit.relevance)] if are_known else []),
            _name(hit.record, library),
            _words(hit),
            Text(found_by(hit), style="magenta" if hit.matched == "image" else "cyan"),
        )
    return table


def _words(hit: Hit) -> Text:
    """A hit's text, and by which way through a knowledge graph it came."""
    text = Text(shortened(plain(hit.record.text or ""), _LONGEST))
    if hit.copies:
        count = len(hit.copies)
        copies = "1 copy" if count == 1 else f"{count} copies"
        text.append(f"{' ' if text else ''}(and {copies})", style="dim")
    if hit.path:
        way = shortened(plain(" → ".join(hit.path)), _LONGEST)
        text.append(f"{' ' if text else ''}({way})", style="dim")
    return text


def doubt(hits: Sequence[Hit], *, min_relevance: float | None = None) -> str:
    """What to say where nothing may be an answer; empty where something is, or nobody knows.

    Args:
        hits: What was found.
        min_relevance: What they had to reach.
    """
    if not hits:
        return "" if min_relevance is None else "Nothing here is really like that."
    known = [hit.relevance for hit in hits if hit.relevance is not None]
    if not known or max(known) >= _DOUBTFUL:
        return ""
    best = f"{max(known):.0%}" if max(known) >= 0.01 else "less than 1%"
    return (
        "Perhaps nothing here is really like that: the best hit is relevant with a probability of "
        f"{best}."
    )


def score_of(hit: Hit) -> str:
    """The score as read by people; the small ones of hybrid searches with more digits."""
    return f"{hit.score:.4f}" if 0 < abs(hit.score) < 0.05 else f"{hit.score:.3f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def found_by(hit: Hit) -> Literal["picture", "caption", "text", "both"]:
    """Which of the record's parts was compared with the query."""
    if hit.matched != "text":
        return "picture" if hit.matched == "image" else "both"
    return "caption" if hit.record.image is not None else "text"


def _name(record: Record, library: ImageLibrary | None) -> Text:
    """A record's name, which leads to its file, or says that this is gone."""
    name = Text(plain(citation(record.metadata) or record.id))
    if is_gone(record, library):
        return name.append(" (its file is gone)", style="red")
    if record.image is not None:
        file = record.image.path
    else:
        file = None if library is None or not record.source_id else library.found(record.source_id)
    if file is not None:
        name.stylize(Style(link=file.as_uri()))
    return name


def is_gone(record: Record, library: ImageLibrary | None = None) -> bool:
    """Whether the file that a record is from is there no more; nothing is opened.

    Args:
        record: The record.
        library: Knows the files that texts are from; without one, none is missed.
    """
    if record.image is not None:
        path = record.image.path
        return path is not None and not os.path.isfile(path)
    if library is None or record.source_id is None or not _was_read(record):
        return False
    return not library.exists(record.source_id)


def _was_read(record: Record) -> bool:
    """Whether a text's source is a file; it may be called anything by whoever adds records."""
    return record.metadata.get("file_name") == PurePath(record.source_id or "").name
