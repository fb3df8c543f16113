"""`chart_table`: what an Office chart shows, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.readers.documents.office_xml import children, descend, local_name

if TYPE_CHECKING:
    from lxml.etree import _Element

_MOST_POINTS = 1000  # of a series; a chart of more is no table that anybody reads


def chart_table(root: _Element) -> tuple[str, str]:
    """A chart's title, and its data: a row of the names of its series, then one for each category.

    Args:
        root: Of the chart's part (``c:chartSpace``). What is read are the values that it keeps of
            its workbook, which itself is not opened.

    Returns:
        Title and rows, each empty if there is none.
    """
    title = ""
    series: list[tuple[str, dict[int, str]]] = []
    categories: dict[int, str] = {}
    for node in root.iter():
        name = local_name(node)
        if name == "title" and not title and local_name(node.getparent()) == "chart":
            title = _words(node)
        elif name == "ser":
            for part in ("cat", "xVal"):
                for place, value in _points(descend(node, part)).items():
                    categories.setdefault(place, value)
            values = _points(descend(node, "val")) or _points(descend(node, "yVal"))
            label = " ".join(_points(descend(node, "tx")).values())
            series.append((label, values))
    rows = [["", *(label for label, _ in series)]] if any(label for label, _ in series) else []
    places = sorted(categories.keys() | {place for _, values in series for place in values})
    for place in places[:_MOST_POINTS]:
        rows.append([categories.get(place, ""), *(values.get(place, "") for _, values in series)])
    return title, "\n".join(" | ".join(row) for row in rows)


def _points(node: _Element | None) -> dict[int, str]:
    """Values by their places, of the first level that is kept."""
    found: dict[int, str] = {}
    if node is None:
        return found
    for point in node.iter():
        if local_name(point) == "pt" and len(found) < _MOST_POINTS:
            place = point.get("idx") or ""
            value = next(children(point, "v"), None)
            if place.isdecimal() and value is not None:
                found.setdefault(int(place), " ".join((value.text or "").split()))
    direct = next(children(node, "v"), None)
    if not found and direct is not None:
        found[0] = " ".join((direct.text or "").split())
    return found


def _words(node: _Element) -> str:
    words = (below.text or "" for below in node.iter() if local_name(below) in ("t", "v"))
    return " ".join("".join(words).split())
