"""What is read of HTML pages, against pages that a person has looked at in a browser.

`documents_pages.tsv` has the figures in the first 1,900 pixels of each page, from top to bottom,
and the captions that a person reads there; a page without a figure has one line without one.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from unisem.images.reference import ImageRef
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.html import HTML

PAGES = Path(__file__).with_suffix(".tsv")


@dataclass
class Outcome:
    """What was read of a manual's pages.

    Attributes:
        pages: Of the table, that are there.
        figures: Of the table.
        read: Figures that were read, as far down as the table goes; on a page without any, all.
        found: Of the table's figures.
        paired: Those with the caption of the table.
        faults: What is missed.
    """

    pages: int = 0
    figures: int = 0
    read: int = 0
    found: int = 0
    paired: int = 0
    faults: list[str] = field(default_factory=list)


def outcomes_of(folder: Path) -> dict[str, Outcome]:
    """Read the pages of the table that lie in a folder; by manual, and ``all``."""
    outcomes: dict[str, Outcome] = {}
    whole = Outcome()
    with PAGES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for (manual, name), lines in groupby(rows, lambda row: (row["manual"], row["file"])):
        wanted = [(row["figure"], row["caption"]) for row in lines if row["figure"]]
        for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
            if (place / name).is_file():
                root = (place / name).parent.resolve()
                for outcome in (outcomes.setdefault(manual, Outcome()), whole):
                    _compare(root / Path(name).name, place.resolve(), wanted, outcome)
                break
    return outcomes | {"all": whole}


def _compare(page: Path, root: Path, wanted: list[tuple[str, str]], outcome: Outcome) -> None:
    read = [
        (element.image.path.name, element.caption or "")
        for element in HTML.elements(page.read_bytes(), Source(page, root))
        if isinstance(element, Element)
        and element.kind == "figure"
        and isinstance(element.image, ImageRef)
        and element.image.path is not None
    ]
    names = [name for name, _ in read]
    end = 0
    for figure, _ in wanted:  # from top to bottom; one picture may stand on a page twice
        end = names.index(figure, end) + 1 if figure in names[end:] else end
    seen = read[:end] if wanted else read
    outcome.pages += 1
    outcome.figures += len(wanted)
    outcome.read += len(seen)
    left = list(seen)
    for figure, caption in wanted:
        if (figure, caption) in left:
            left.remove((figure, caption))
            outcome.paired += 1
            outcome.found += 1
        elif (near := next((one for one in left if one[0] == figure), None)) is not None:
            left.remove(near)
            outcome.found += 1
            outcome.faults.append(f"{page.name}: {figure} has {near[1]!r}, not {caption!r}")
        else:
            outcome.faults.append(f"{page.name}: {figure} is not found")
