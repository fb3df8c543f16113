"""How well documents are read, and found: by manuals that Debian packages.

    apt-get download octave-doc geomview petsc3.18-doc ngspice-doc dynare-doc debian-reference-en \
        gmsh-doc lilypond-doc-html lilypond-doc-pdf
    for package in *.deb; do dpkg-deb -x "$package" books/"${package%%_*}"; done
    pip install rapidfuzz
    OMP_NUM_THREADS=1 python -m benchmarks.documents pdf books [--book NAME] [--faults]

``pdf`` holds PDFs against the HTML of the same books.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table


def main() -> None:
    """Run one measurement and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    pdf = commands.add_parser("pdf", help="PDFs against the HTML of the same books")
    pdf.add_argument("folder", type=Path)
    pdf.add_argument("--book", action="append", metavar="NAME")
    pdf.add_argument("--faults", action="store_true", help="name what is missed")
    pdf.set_defaults(run=_pdf)
    options = parser.parse_args()
    run: Callable[[argparse.Namespace, Console], None] = options.run
    run(options, Console(width=110))


def _pdf(options: argparse.Namespace, console: Console) -> None:
    from benchmarks.documents_books import BOOKS
    from benchmarks.documents_pdf import Outcome, outcome_of, total

    table = Table(
        "book", "pages", "figures", "found", "paired", "own", "headings", "words", "order"
    )

    def add(outcome: Outcome) -> None:
        has = outcome.figures > 0
        table.add_row(
            outcome.name,
            str(outcome.pages),
            str(outcome.figures) if has else "",
            _share(outcome.found, outcome.figures),
            _share(outcome.paired, outcome.found),
            _share(outcome.own, outcome.shown),
            _share(outcome.headings_found, outcome.headings),
            _share(outcome.common, outcome.words),
            _share(outcome.in_order, outcome.common),
        )

    outcomes: list[Outcome] = []
    for book in BOOKS:
        if options.book and book.name not in options.book:
            continue
        outcome = outcome_of(book, options.folder)
        if outcome is None:
            console.print(f"{book.name} is not there ({book.package})")
            continue
        outcomes.append(outcome)
        add(outcome)
        if options.faults:
            for fault in outcome.faults:
                console.print(f"{book.name}: {fault}", markup=False, highlight=False)
    if outcomes:
        table.add_section()
        add(total(outcomes))
    console.print(table)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else ""


if __name__ == "__main__":
    main()
