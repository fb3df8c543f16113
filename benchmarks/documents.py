"""How well documents are read, and found: by manuals that Debian packages.

    apt-get download octave-doc geomview petsc3.18-doc ngspice-doc dynare-doc debian-reference-en \
        gmsh-doc lilypond-doc-html lilypond-doc-pdf \
        gimp-help-en debian-handbook ns3-doc yade-doc python-skimage-doc maxima-doc
    for package in *.deb; do dpkg-deb -x "$package" books/"${package%%_*}"; done
    find books -name manual.pdf.gz -exec gunzip -k {} +
    pip install rapidfuzz langchain-community pypdf
    pip install --no-deps llama-index-readers-file striprtf defusedxml
    OMP_NUM_THREADS=1 python -m benchmarks.documents pdf books [--book NAME] [--faults]
    OMP_NUM_THREADS=1 python -m benchmarks.documents html books [--faults]
    OMP_NUM_THREADS=1 python -m benchmarks.documents retrieval books [--most 60] [--raw]
    OMP_NUM_THREADS=1 python -m benchmarks.documents peers books --book geomview \
        --book debian-handbook
    OMP_NUM_THREADS=1 python -m benchmarks.documents speed books --book geomview [--rounds 5]

``pdf`` holds PDFs against the HTML of the same books, ``html`` what is read of pages against what
a person reads there; ``retrieval`` looks for figures whose captions are hidden; ``peers`` asks
beside the frameworks' own readers; ``speed`` compares with these.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
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
    html = commands.add_parser("html", help="HTML against pages that a person has looked at")
    html.add_argument("folder", type=Path)
    html.add_argument("--faults", action="store_true", help="name what is missed")
    html.set_defaults(run=_html)
    retrieval = commands.add_parser("retrieval", help="figures whose captions are hidden")
    retrieval.add_argument("folder", type=Path)
    retrieval.add_argument("--most", type=int, default=60, help="figures of each manual")
    retrieval.add_argument("--raw", action="store_true", help="by raw cosines, not calibrated")
    retrieval.set_defaults(run=_retrieval)
    peers = commands.add_parser("peers", help="questions, beside the frameworks' own readers")
    peers.add_argument("folder", type=Path)
    peers.add_argument("--book", action="append", metavar="NAME", required=True)
    peers.add_argument("--others", type=int, default=20, help="pages of HTML without a figure")
    peers.set_defaults(run=_peers)
    speed = commands.add_parser("speed", help="beside other readers; memory; an unchanged folder")
    speed.add_argument("folder", type=Path)
    speed.add_argument("--book", action="append", metavar="NAME", required=True)
    speed.add_argument("--rounds", type=int, default=5)
    speed.set_defaults(run=_speed)
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


def _html(options: argparse.Namespace, console: Console) -> None:
    from benchmarks.documents_pages import outcomes_of

    table = Table("manual", "pages", "figures", "found", "paired", "own")
    for name, one in outcomes_of(options.folder).items():
        found, paired = _share(one.found, one.figures), _share(one.paired, one.figures)
        own = _share(one.found, one.read)
        table.add_row(name, str(one.pages), str(one.figures), found, paired, own)
        for fault in one.faults if options.faults else ():
            console.print(f"{name}: {fault}", markup=False, highlight=False)
    console.print(table)


def _retrieval(options: argparse.Namespace, console: Console) -> None:
    from benchmarks.documents_retrieval import figures_in, gain, rows_by_heading, rows_of
    from unisem import load_encoder

    figures = figures_in(options.folder, options.most)
    encoder = load_encoder("mini", device="cpu")
    rows = rows_by_heading(figures, encoder)
    rows += rows_of(figures, encoder, not options.raw)
    console.print(f"{len(figures)} figures: {dict(Counter(one.manual for one in figures))}")
    table = Table("described by", "asked by", "hit@1", "hit@5", "hit@5 over its text alone")
    texts = {row.description: row for row in rows if row.match == "text"}
    for row in rows:
        alone = texts.get(row.description)
        more = gain(row.hits, alone.hits) if alone is not None and row is not alone else ""
        table.add_row(row.description, row.match, f"{row.hit_1:.3f}", f"{row.hit_5:.3f}", more)
    console.print(table)


def _peers(options: argparse.Namespace, console: Console) -> None:
    from benchmarks.documents_peers import answers_of
    from benchmarks.documents_retrieval import gain

    answers = answers_of(options.folder, options.book, options.others)
    ours = answers["UniSem"]
    table = Table("reader and chain", "figures", "page among 5", "UniSem more often", "figure")
    for name, one in answers.items():
        pages, figures = np.array(one.pages), np.array(one.figures)
        more = "" if one is ours else gain(np.array(ours.pages), pages)
        page, figure = f"{pages.mean():.3f}", f"{figures.mean():.3f}"
        table.add_row(name, str(len(pages)), page, more, figure)
    console.print(table)


def _speed(options: argparse.Namespace, console: Console) -> None:
    from benchmarks.documents_speed import again, peak, speeds

    megabytes, size = peak(3000)
    console.print(f"3,000 pages ({size / 1e6:.1f} MB): {megabytes:.0f} MB at most")
    console.print(speeds(options.folder, options.book, options.rounds))
    for name, first, second in again(options.folder, options.book):
        ratio = first / second
        console.print(f"{name}: indexed in {first:.1f} s, again in {second:.2f} s, {ratio:.0f} x")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else ""


if __name__ == "__main__":
    main()
