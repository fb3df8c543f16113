"""Hits as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.style import Style
from rich.table import Table
from rich.text import Text

from unisem.common.printable import plain, shortened
from unisem.presentation.citation import citation

if TYPE_CHECKING:
    from unisem.records import Record
    from unisem.stores.hits import Hit

_LONGEST = 160  # characters of a caption or text in a table
_DOUBTFUL = 0.1  # probability below which the best hit is wrong nineteen times of twenty


def hits_table(hits: Sequence[Hit]) -> Table:
    """Rank, score, id or citation, text and what was matched; a picture's id links to its file.

    How probable it is that a hit is relevant stands beside the score, if it is known of any.
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
            Text(plain(citation(hit.record.metadata) or hit.record.id), style=_link(hit.record)),
            _words(hit),
            Text(found_by(hit), style="magenta" if hit.matched == "image" else "cyan"),
        )
    return table


def _words(hit: Hit) -> Text:
    """A hit's text, and by which way through a knowledge graph it came."""
    text = Text(shortened(plain(hit.record.text or ""), _LONGEST))
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


def found_by(hit: Hit) -> Literal["picture", "caption", "text"]:
    """Which of the record's parts was compared with the query."""
    if hit.matched == "image":
        return "picture"
    return "caption" if hit.record.image is not None else "text"


def _link(record: Record) -> Style:
    if record.image is None or record.image.path is None:
        return Style.null()
    return Style(link=record.image.path.as_uri())
