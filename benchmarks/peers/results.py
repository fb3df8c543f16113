"""`Results`: everything that a run measured, as JSON can hold it."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.registry import BARE


@dataclass
class QueryFigures:
    """One contender's queries under one filter.

    Attributes:
        queries: How many each round asked.
        recall: ``ann_recall@10`` of the first round.
        first_ms: The first query of its kind, nothing remembered.
        rounds_ms: Each round's median.
        p95_ms: Over all rounds.
        flat_rounds_ms: Each round's median of bare Faiss's exact flat search, asked in turn with
            this; only without a filter.
    """

    queries: int
    recall: float
    first_ms: float
    rounds_ms: list[float]
    p95_ms: float
    flat_rounds_ms: list[float] = field(default_factory=list)

    @property
    def p50_ms(self) -> float:
        """The median of the rounds' medians."""
        return statistics.median(self.rounds_ms)

    def ratio_to(self, other: QueryFigures) -> float:
        """The median over rounds of how many times longer this took, measured in turn."""
        pairs = zip(self.rounds_ms, other.rounds_ms, strict=False)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    @property
    def speed(self) -> float | None:
        """How many times faster this was than bare Faiss's flat search in the same rounds."""
        if not self.flat_rounds_ms:
            return None
        pairs = zip(self.rounds_ms, self.flat_rounds_ms, strict=True)
        return statistics.median(flat / mine for mine, flat in pairs)


@dataclass
class EffortPoint:
    """One search effort.

    Attributes:
        share: The median of its turns as shares of bare Faiss's flat search, asked right after.
    """

    effort: int
    recall: float
    p50_ms: float
    share: float = 0


@dataclass
class Figures:
    """One contender, a peer with one kind of index, at one size.

    Attributes:
        trouble: What it could not do, and why; empty if nothing.
        built: What was built and why, where it says so.
        index_mb: Its Faiss files; 0 where it has no such file.
        load: The machine's load average of a minute, before it was filled and when all was done.
        queries: By label of the filter, ``all`` without one.
        delete_ms: Each batch, until acknowledged.
        next_query_ms: The first query after each batch.
    """

    peer: str
    kind: str
    rows: int
    dimension: int
    trouble: list[str] = field(default_factory=list)
    built: str = ""
    rows_per_second: float = 0
    build_seconds: float = 0
    disk_mb: float = 0
    index_mb: float = 0
    import_seconds: float = 0
    open_ms: float = 0
    anonymous_mb: float = 0
    resident_mb: float = 0
    queries: dict[str, QueryFigures] = field(default_factory=dict)
    efforts: list[EffortPoint] = field(default_factory=list)
    delete_ms: list[float] = field(default_factory=list)
    next_query_ms: list[float] = field(default_factory=list)
    delete_batch: int = 0
    load: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Peer and kind."""
        return f"{self.peer} {self.kind}"

    @property
    def float_mb(self) -> float:
        """What its vectors take as float32."""
        return self.rows * self.dimension * 4 / 1e6


@dataclass
class Results:
    """A run, or several put together."""

    machine: dict[str, Any]
    figures: list[Figures] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def sizes(self) -> list[int]:
        """The numbers of rows that were measured."""
        return sorted({figures.rows for figures in self.figures})

    def find(self, peer: str, kind: str, rows: int) -> Figures | None:
        """One contender's figures."""
        for figures in self.figures:
            if (figures.peer, figures.kind, figures.rows) == (peer, kind, rows):
                return figures
        return None

    def has(self, kind: str, rows: int) -> bool:
        """Whether a kind was measured at a size."""
        return any((figures.kind, figures.rows) == (kind, rows) for figures in self.figures)

    def continued(self, machine: dict[str, Any]) -> Results:
        """These, to be added to by a run on this machine.

        Raises:
            SystemExit: They were measured with something else.
        """
        fixed = ("data", "threads a query", "threads that fill", "Python")
        other = [name for name in fixed if machine[name] != self.machine.get(name)]
        if other:
            raise SystemExit(f"the file to go on with has another {', '.join(other)}")
        self.machine.update(machine)
        return self

    def bare(self, figures: Figures) -> Figures | None:
        """The bare index of the same kind and size."""
        return self.find(BARE, figures.kind, figures.rows)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, paths: list[Path]) -> Results:
        """Read one or several files; of one contender at one size the last file counts."""
        together: Results | None = None
        for path in paths:
            raw = json.loads(path.read_text(encoding="utf-8"))
            read = cls(raw["machine"], [_figures(entry) for entry in raw["figures"]])
            read.skipped = raw["skipped"]
            if together is not None:
                newer = {(figures.name, figures.rows) for figures in read.figures}
                older = [old for old in together.figures if (old.name, old.rows) not in newer]
                read.figures = older + read.figures
                read.skipped = list(dict.fromkeys(together.skipped + read.skipped))
            together = read
        if together is None:
            raise ValueError("no files to read")
        return together


def _figures(raw: dict[str, Any]) -> Figures:
    queries = {label: QueryFigures(**entry) for label, entry in raw.pop("queries").items()}
    efforts = [EffortPoint(**entry) for entry in raw.pop("efforts")]
    return Figures(**raw, queries=queries, efforts=efforts)
