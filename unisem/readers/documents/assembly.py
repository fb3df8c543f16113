"""`assemble`: a document's elements, of whatever format, to records that know their neighbours.

The metadata of every record, where they are known:

* ``file_name``: the path inside the folder that was read;
* ``kind``: ``text``, ``code``, ``table``, ``figure`` or ``page``;
* ``page``, from 1, ``page_label`` (what the document calls it: ``iv``; the number, if nothing
  else), and ``box`` (left, top, right, bottom in points from the page's top left corner);
* ``section``: the headings above, ``2 Install > 2.1 Linux``;
* ``part``, from 2, of a long table's rows that did not fit with those before them;
* ``label`` and ``caption`` of a figure or a table: ``Figure 3``, and all that is written under it;
* ``recognized``: true where words were read from pixels;
* what the file knows of a page that is a picture (`unisem.images.facts`).

And links, each to the id of a record of the same document:

* ``previous`` and ``next`` in reading order;
* ``figure``, ``figure:2`` …: the figures and tables that a passage speaks of;
* ``mentioned_by``, ``mentioned_by:2`` …: the passages that speak of a figure or a table;
* ``of_page``: the page's own record, where pages are records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from unisem.common.box import Box, around
from unisem.common.skipped import Skipped
from unisem.errors import ImageError, RecordError
from unisem.readers.chunks import PassageLimit, ReadsWhole, everything
from unisem.readers.documents.elements import Element
from unisem.readers.documents.labels import label_of, mentions, sentence_with
from unisem.records import Record

MOST_LINKS = 20
"""Links of one kind that a record keeps."""
_AROUND = 300  # characters of the passages before and after a figure of which nothing is said
_MENTIONED = 300  # characters of the passages that mention a figure, beside its caption
_HEADING = 200  # characters of a heading that are kept in a path
_CAPTION = 2_000  # characters of a caption, or of an alternative text, that are kept


@dataclass
class _Draft:
    """A record on its way."""

    element: Element
    section: str
    text: str
    box: Box | None
    references: set[str] = field(default_factory=set)
    part: int = 1
    id: str = ""
    links: dict[str, str] = field(default_factory=dict)

    @property
    def is_shown(self) -> bool:
        """Whether a passage can speak of it."""
        return self.element.kind in ("figure", "table")


def assemble(
    elements: Iterable[Element | Skipped],
    *,
    name: str,
    source_id: str,
    file_name: str,
    mark: Mapping[str, Any],
    chunk_size: int = 1000,
    reads_whole: ReadsWhole = everything,
) -> Iterator[Record | Skipped]:
    """Turn elements into records.

    Passages follow headings, pages, lists, code and tables: what is long is cut, between items,
    lines and rows where it has some, what is short is joined with what follows in its section and
    on its page. A heading opens the passage after it; each part of a long table begins with its
    caption and its first row. A figure's text is its caption, or else its alternative text, and
    the sentences that mention it.

    Args:
        elements: In reading order.
        name: What ids begin with.
        source_id: As of `Record`.
        file_name: The metadata's.
        mark: What the payload of one record says of the document, so that it can be recognised as
            read to its end, if that is stored after the others. It is the last one without a
            picture, if there is any: a picture may turn out to be damaged.
        chunk_size: Characters that a passage may have.
        reads_whole: Whether the encoder that is to embed it reads all of a text; passages are
            short enough for it, too.
    """
    limit = PassageLimit(chunk_size, reads_whole)
    drafts: list[_Draft] = []
    for item in _drafts(elements, limit):
        if isinstance(item, Skipped):
            yield item
        else:
            drafts.append(item)
    _name(drafts, name)
    _link(drafts, limit)
    marked = next((it for it in reversed(drafts) if it.element.image is None), None)
    marked = marked or (drafts[-1] if drafts else None)
    for draft in drafts:
        try:
            yield Record(
                id=draft.id,
                text=draft.text or None,
                image=draft.element.image,
                metadata=_metadata(draft, file_name),
                source_id=source_id,
                links=draft.links,
                payload={"document": dict(mark)} if draft is marked else None,
            )
        except (RecordError, ImageError) as error:
            yield Skipped(draft.id, str(error))


def _drafts(
    elements: Iterable[Element | Skipped], limit: PassageLimit
) -> Iterator[_Draft | Skipped]:
    path: list[str] = []
    headings: list[Element] = []
    open_draft: _Draft | None = None

    def started(element: Element, text: str) -> _Draft:
        words = [heading.text for heading in headings] + [text]
        draft = _Draft(
            element, " > ".join(filter(None, path)), "\n\n".join(filter(None, words)), element.box
        )
        draft.references.update(element.references)
        headings.clear()
        return draft

    for element in elements:
        if isinstance(element, Skipped):
            yield element
        elif element.kind == "heading" and limit.holds(element.text):
            if open_draft is not None:
                yield open_draft
                open_draft = None
            if headings and (
                (headings[-1].page != element.page and headings[-1].level >= element.level)
                or not limit.holds(_together([*headings, element]))
            ):
                yield started(headings[0], "")  # no words followed on its page
            path[element.level - 1 :] = [""] * (element.level - 1 - len(path))
            path.append(" ".join(element.text.split())[:_HEADING])
            if element.text:
                headings.append(element)
        elif element.kind in ("figure", "table", "page"):
            if open_draft is not None:
                yield open_draft
                open_draft = None
            element = _bounded(element)
            if element.kind == "table":
                yield from _tables(element, " > ".join(filter(None, path)), limit)
                continue
            words = [element.caption or "", element.text]
            if element.kind == "figure" and element.caption and not element.recognized:
                words.pop()  # an alternative text says no more than a caption
            yield _Draft(
                element,
                " > ".join(filter(None, path)),
                "\n".join(filter(None, words)),
                element.box,
                set(element.references),
            )
        else:
            pieces = _pieces(element, limit)
            if headings and pieces and not limit.holds(_together(headings, pieces[0])):
                head = _together(headings)
                if limit.has_room_after(head):
                    pieces = _pieces(element, limit.after(head))
                else:
                    yield started(headings[0], "")
            for piece in pieces:
                if open_draft is not None and _joins(open_draft, element, piece, limit):
                    open_draft.text += "\n\n" + piece
                    open_draft.box = _around(open_draft.box, element.box)
                    open_draft.references.update(element.references)
                    continue
                if open_draft is not None:
                    yield open_draft
                open_draft = started(element, piece)
    if open_draft is not None:
        yield open_draft
    if headings:  # of which nothing follows
        yield started(headings[0], "")


def _pieces(element: Element, limit: PassageLimit) -> list[str]:
    by_line = element.kind in ("code", "list")
    return limit.cut_lines(element.text) if by_line else limit.cut(element.text)


def _together(headings: Iterable[Element], *texts: str) -> str:
    return "\n\n".join([*(heading.text for heading in headings), *texts])


def _tables(element: Element, section: str, limit: PassageLimit) -> Iterator[_Draft]:
    """A table; if it is long, its parts."""
    caption = element.caption or ""
    words = "\n".join(filter(None, (caption, element.text)))
    first, _, rest = element.text.strip().partition("\n")
    head = "\n".join(filter(None, (caption, first)))
    if limit.holds(words) or not rest or not limit.has_room_after(head):
        yield _Draft(element, section, words, element.box, set(element.references))
        return
    for number, rows in enumerate(limit.after(head).cut_lines(rest), 1):
        part = element if number == 1 else replace(element, image=None, anchors=())
        yield _Draft(part, section, f"{head}\n{rows}", element.box, set(part.references), number)


def _joins(draft: _Draft, element: Element, piece: str, limit: PassageLimit) -> bool:
    return (
        draft.element.page == element.page
        and draft.element.recognized == element.recognized
        and (draft.element.kind == "code") == (element.kind == "code")
        and limit.holds(f"{draft.text}\n\n{piece}")
    )


def _bounded(element: Element) -> Element:
    """With no more of a caption and an alternative text than anybody reads, or sends to a model."""
    caption, text = element.caption, element.text
    if caption is not None and len(caption) > _CAPTION:
        caption = f"{caption[:_CAPTION]}…"
    if element.kind == "figure" and not element.recognized and len(text) > _CAPTION:
        text = f"{text[:_CAPTION]}…"
    return replace(element, caption=caption, text=text)


def _around(first: Box | None, second: Box | None) -> Box | None:
    return None if first is None or second is None else around(first, second)


def _name(drafts: list[_Draft], name: str) -> None:
    """Ids by page and kind, so that a page that gains a passage renames no other page's records."""
    count: Counter[str] = Counter()
    for draft in drafts:
        page = "" if draft.element.page is None else f"p{draft.element.page}"
        kind = draft.element.kind if draft.is_shown or draft.element.kind == "page" else ""
        where = "-".join(filter(None, (page, kind)))
        count[where] += 1
        draft.id = f"{name}#{where}{'-' if where else ''}{count[where]}"


def _link(drafts: list[_Draft], limit: PassageLimit) -> None:
    for before, after in pairwise(drafts):
        before.links["next"] = after.id
        after.links["previous"] = before.id
    pages = {draft.element.page: draft.id for draft in drafts if draft.element.kind == "page"}
    by_key: dict[tuple[str, str], _Draft] = {}
    by_anchor: dict[str, _Draft] = {}
    for draft in drafts:
        if draft.element.page in pages and pages[draft.element.page] != draft.id:
            draft.links["of_page"] = pages[draft.element.page]
        if draft.is_shown:
            if (label := label_of(draft.element.caption)) is not None:
                by_key.setdefault(label.key, draft)
            by_anchor |= dict.fromkeys(draft.element.anchors, draft)
    told: dict[str, list[str]] = {}
    for draft in drafts:
        if draft.is_shown or draft.element.kind == "page":
            continue
        meant: dict[str, _Draft] = {}
        for mention in mentions(draft.text):
            if (shown := by_key.get(mention.key)) is not None:
                meant.setdefault(shown.id, shown)
                told.setdefault(shown.id, []).append(sentence_with(draft.text, mention))
        for anchor in sorted(draft.references & by_anchor.keys()):
            meant.setdefault(by_anchor[anchor].id, by_anchor[anchor])
        for shown in meant.values():
            _add_link(draft.links, "figure", shown.id)
            _add_link(shown.links, "mentioned_by", draft.id)
    for draft in drafts:
        if sentences := told.get(draft.id):
            words = " ".join(dict.fromkeys(sentences))
            said = words[:_MENTIONED].rpartition(" ")[0] if len(words) > _MENTIONED else words
            if limit.holds(longer := "\n\n".join(filter(None, (draft.text, said)))):
                draft.text = longer
    preceding, following = _passages_before(drafts), _passages_before(drafts[::-1])[::-1]
    for draft, last, first in zip(drafts, preceding, following, strict=True):
        if draft.element.kind == "figure" and _says_nothing(draft):
            parts = filter(None, (draft.text, draft.section, *_ends(last, first)))
            if limit.holds(longer := "\n\n".join(parts)):
                draft.text = longer


def _says_nothing(draft: _Draft) -> bool:
    label = label_of(draft.text)
    return not draft.text.strip() or (
        label is not None and not any(map(str.isalnum, draft.text[label.end :]))
    )


def _passages_before(drafts: Sequence[_Draft]) -> list[_Draft | None]:
    """For each draft the passage that comes before it."""
    found: list[_Draft | None] = []
    last: _Draft | None = None
    for draft in drafts:
        found.append(last)
        if not draft.is_shown and draft.element.kind != "page":
            last = draft
    return found


def _ends(before: _Draft | None, after: _Draft | None) -> Iterator[str]:
    """The end of the passage before a figure, and the beginning of the one after it."""
    if before is not None:
        words = before.text[-_AROUND:]
        yield words.partition(" ")[2] if len(before.text) > _AROUND else words
    if after is not None:
        words = after.text[:_AROUND]
        yield words.rpartition(" ")[0] if len(after.text) > _AROUND else words


def _add_link(links: dict[str, str], relation: str, target: str) -> None:
    for number in range(1, MOST_LINKS + 1):
        name = relation if number == 1 else f"{relation}:{number}"
        if links.setdefault(name, target) == target:
            return


def _metadata(draft: _Draft, file_name: str) -> dict[str, Any]:
    element = draft.element
    label = label_of(element.caption)
    kind = "text" if element.kind in ("list", "heading") else element.kind
    known: dict[str, Any] = {
        **element.facts,
        "file_name": file_name,
        "kind": kind,
        "page": element.page,
        "page_label": element.page_label or (None if element.page is None else str(element.page)),
        "box": None if draft.box is None else [round(side, 1) for side in draft.box],
        "section": draft.section or None,
        "part": None if draft.part == 1 else draft.part,
        "label": None if label is None else label.text,
        "caption": element.caption,
        "recognized": True if element.recognized else None,
    }
    return {name: value for name, value in known.items() if value is not None}
