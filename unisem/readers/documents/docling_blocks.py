"""`blocks_of_docling`: what Docling found in a document, in its reading order."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

from unisem.common.box import Box, around
from unisem.readers.documents.page_block import PageBlock, Shown

_REFERENCE = re.compile(r"#/([a-z_]{1,20})(?:/(\d{1,9}))?")
_READ = ("body", "notes")  # layers: not running heads, backgrounds, hidden text
_LEFT_OUT = ("page_header", "page_footer", "document_index")
_MARKS = {"checkbox_selected": "[x] ", "checkbox_unselected": "[ ] "}
_DEEPEST_HEADING = 20
_MOST_INSIDE = 2000  # characters of the words inside a picture

Item = dict[str, Any]


def blocks_of_docling(document: Item) -> Iterator[PageBlock]:
    """Yield a document's blocks.

    Each item is read once, however often and in whatever circles it is referred to. What is drawn
    without a picture is a figure without links.

    Args:
        document: A ``DoclingDocument`` as JSON has it; any part of it may be missing, or of a kind
            that it should not be.
    """
    yield from _Walk(document).blocks()


def text_of(value: object) -> str:
    """A text that stores take: JSON may hold halves of characters."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def uri_of(item: Item) -> str:
    """Where the picture of an item or of a page is; empty for one without."""
    image = item.get("image")
    return text_of(image.get("uri")) if isinstance(image, dict) else ""


class _Walk:
    def __init__(self, document: Item) -> None:
        self._document = document
        pages = document.get("pages")
        self._pages = pages if isinstance(pages, dict) else {}
        self._seen: set[str] = set()
        self._captions = {
            caption
            for kind in ("pictures", "tables", "texts")
            for item in _items(document.get(kind))
            for caption in _references(item.get("captions"))
        }
        self._groups: dict[tuple[str, int | None], int] = {}

    def blocks(self) -> Iterator[PageBlock]:
        # What is to be read next comes last; with it, the list that it is in.
        waiting: list[tuple[str, str]] = [("#/body", "")]
        while waiting:
            reference, of_list = waiting.pop()
            if reference in self._captions:  # which may stand before what it is about
                continue
            item = self._item(reference)
            if item is None or item.get("content_layer", "body") not in _READ:
                continue
            label = text_of(item.get("label"))
            if label in _LEFT_OUT:
                continue
            below = _references(item.get("children"))
            if reference.startswith("#/groups/"):
                if label == "inline":
                    first = self._found(below[0]) if below else None
                    joined: Item = {"text": self._words(below), "prov": (first or {}).get("prov")}
                    yield from self._text(joined, of_list)
                    continue
                if label in ("list", "ordered_list"):
                    of_list = of_list or reference
            elif reference.startswith("#/pictures/"):
                yield self._figure(item, below)
                continue
            elif reference.startswith("#/tables/"):
                yield self._table(item)
                continue
            elif "text" in item or "orig" in item:
                if not item.get("text"):  # its runs of words stand below it
                    runs = [child for child in below if self._is_inline(child)]
                    item = {**item, "text": self._words(runs)}
                yield from self._text(item, of_list)
            waiting += [(child, of_list) for child in reversed(below)]

    def _is_inline(self, reference: str) -> bool:
        found = self._found(reference)
        return found is not None and found.get("label") == "inline"

    def _item(self, reference: str) -> Item | None:
        """What is referred to, the first time."""
        if reference in self._seen:
            return None
        self._seen.add(reference)
        return self._found(reference)

    def _found(self, reference: str) -> Item | None:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return None
        found = self._document.get(match[1])
        if match[2] is not None:
            if not isinstance(found, list) or int(match[2]) >= len(found):
                return None
            found = found[int(match[2])]
        return found if isinstance(found, dict) else None

    def _text(self, item: Item, of_list: str) -> Iterator[PageBlock]:
        label = text_of(item.get("label"))
        text = text_of(item.get("text")) or text_of(item.get("orig"))
        if not text.strip():
            return
        page, box = self._place(item)
        block = PageBlock("text", text.strip(), page=page, box=box)
        if label == "code":
            block.kind, block.text, block.caption = "code", text.strip("\n"), self._caption(item)
        elif label in ("title", "section_header"):
            level = item.get("level") if label == "section_header" else 0
            block.kind, block.text = "heading", " ".join(text.split())
            block.level = 1 + (level if isinstance(level, int) and level >= 0 else 1)
            block.level = min(block.level, _DEEPEST_HEADING)
        elif label == "list_item":
            marker = text_of(item.get("marker")).strip()
            block.kind, block.text = "list", f"{marker or '-'} {text.strip()}"
            place = (of_list or "", page)  # a list that goes on over the page is two passages
            block.group = self._groups.setdefault(place, len(self._groups) + 1)
        elif label == "caption":
            block.is_caption = True
        elif label in _MARKS:
            block.text = _MARKS[label] + block.text
        elif item.get("content_layer") == "notes":
            block.text = f"Notes: {block.text}"
        yield block

    def _figure(self, item: Item, below: list[str]) -> PageBlock:
        caption = self._caption(item)
        said = "\n".join(filter(None, (_description(item), self._words(below)[:_MOST_INSIDE])))
        shown = Shown((uri_of(item),) if uri_of(item) else (), said)
        page, box = self._place(item)
        return PageBlock("figure", figure=shown, caption=caption, page=page, box=box)

    def _table(self, item: Item) -> PageBlock:
        page, box = self._place(item)
        shown = Shown((uri_of(item),)) if uri_of(item) else None
        rows = _rows(item.get("data"))
        return PageBlock(
            "table", rows, figure=shown, caption=self._caption(item), page=page, box=box
        )

    def _caption(self, item: Item) -> str:
        """The words of an item's captions, which are then not read for themselves."""
        return self._words(_references(item.get("captions")))

    def _words(self, references: list[str]) -> str:
        """All words that are referred to, in one line."""
        waiting, words = references[::-1], []
        while waiting:
            item = self._item(waiting.pop())
            if item is not None:
                words.append(text_of(item.get("text")))
                waiting += _references(item.get("children"))[::-1]
        return " ".join(" ".join(words).split())

    def _place(self, item: Item) -> tuple[int | None, Box | None]:
        """The page, and where on it, in points from its top left corner."""
        page: int | None = None
        boxes: list[Box] = []
        for place in _items(item.get("prov")):
            number = place.get("page_no")
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                continue
            page = number if page is None else page
            box = self._box(place.get("bbox"), number)
            if number == page and box is not None:
                boxes.append(box)
        return page, reduce(around, boxes) if boxes else None

    def _box(self, box: object, page: int) -> Box | None:
        if not isinstance(box, dict):
            return None
        sides = [_number(box.get(side)) for side in "ltrb"]
        if box.get("coord_origin") == "BOTTOMLEFT":
            known = self._pages.get(str(page))
            size = known.get("size") if isinstance(known, dict) else None
            height = _number(size.get("height")) if isinstance(size, dict) else math.nan
            sides[1], sides[3] = height - sides[1], height - sides[3]
        left, right = sorted(sides[::2])
        top, bottom = sorted(sides[1::2])
        if not all(map(math.isfinite, sides)) or left == right or top == bottom:
            return None
        return max(left, 0.0), max(top, 0.0), right, bottom


def _references(value: object) -> list[str]:
    found = (one.get("$ref") for one in _items(value))
    return [one for one in found if isinstance(one, str)]


def _items(value: object) -> list[Item]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e9 else math.nan  # type: ignore[arg-type]


def _description(item: Item) -> str:
    """What a model, or an alternative text, says of a picture."""
    meta = item.get("meta")
    said = [meta.get("description")] if isinstance(meta, dict) else []
    said += _items(item.get("annotations"))  # as Docling wrote it until 2025
    texts = (text_of(one.get("text")) for one in _items(said))
    return next((" ".join(text.split()) for text in texts if text.strip()), "")


def _rows(data: object) -> str:
    """A table's cells, a row a line; a cell that spans several stands at its first."""
    rows: dict[float, dict[float, str]] = {}
    for cell in _items(data.get("table_cells")) if isinstance(data, dict) else ():
        if text := " ".join(text_of(cell.get("text")).split()):
            row = _number(cell.get("start_row_offset_idx"))
            column = _number(cell.get("start_col_offset_idx"))
            if not math.isnan(row + column):
                rows.setdefault(row, {})[column] = text
    lines = (" | ".join(text for _, text in sorted(row.items())) for _, row in sorted(rows.items()))
    return "\n".join(lines)
