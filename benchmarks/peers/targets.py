"""`judge`: the store's targets beside what was measured."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.peers.data import ALL, CONDITIONS
from benchmarks.peers.registry import OURS
from benchmarks.peers.results import Figures, Results

_FILTERS = tuple(condition.label for condition in CONDITIONS if condition != ALL)


@dataclass(frozen=True)
class Verdict:
    """One target.

    Attributes:
        target: What was promised.
        rows: At which size it was looked at; 0 if it was not measured.
        measured: The figure, as shown.
        met: Whether it holds; ``None`` if it was not measured at the size that it names.
    """

    target: str
    rows: int
    measured: str
    met: bool | None


def judge(results: Results) -> list[Verdict]:
    """Each target at the size that it names, or at the largest one measured if that is less."""
    return list(_verdicts(results))


def _verdicts(results: Results) -> Iterator[Verdict]:
    yield _ratio(results, "query, flat: at most 2 x bare Faiss at 100,000", 100_000, "flat", 2)
    yield _ratio(results, "query, flat: at most 1.3 x bare Faiss at 1,000,000", 10**6, "flat", 1.3)
    yield _faster(
        results, "query, flat: at least 10 x faster than qdrant local", "qdrant-local", 10
    )
    yield _faster(
        results,
        "query, our hnsw: at least 10 x faster than qdrant local (not in turn)",
        "qdrant-local",
        10,
        "hnsw",
        "flat",
    )
    yield _faster(results, "query, flat: at least 10 x faster than milvus-lite", "milvus-lite", 10)
    yield _faster(
        results, "query, hnsw: at least 10 x faster than milvus-lite", "milvus-lite", 10, "hnsw"
    )
    yield _faster(results, "query, flat: at least 3 x faster than LanceDB flat", "lancedb", 3)
    yield _against_chroma(results)
    for kind in ("flat", "hnsw", "ivf", "sq8"):
        yield _filtered(
            results, kind, f"filtered, {kind}: recall at least .98", _recalls, operator.ge, 0.98
        )
        yield _filtered(
            results,
            kind,
            f"filtered, {kind}: at most 1.5 x unfiltered p50",
            _slowdowns,
            operator.le,
            1.5,
        )
    yield _single(
        results,
        "ingest at least 20,000 rows/s at 100,000",
        100_000,
        "flat",
        lambda ours: ours.rows_per_second or None,
        "{:,.0f} rows/s",
        lambda value: value >= 20_000,
    )
    yield _single(
        results,
        "delete of 1,000 ids under 100 ms at 1,000,000",
        10**6,
        "flat",
        lambda ours: max(ours.delete_ms, default=None),
        "{:.1f} ms at worst",
        lambda value: value < 100,
    )
    yield _single(
        results,
        "open 1,000,000 x 512 to first answer in under 1 s",
        10**6,
        "flat",
        lambda ours: ours.open_ms or None,
        "{:.0f} ms",
        lambda value: value < 1000,
    )
    yield _single(
        results,
        "sq8 with rescoring: ann_recall@10 at least .99",
        10**6,
        "sq8",
        lambda ours: ours.queries["all"].recall if "all" in ours.queries else None,
        "{:.3f}",
        lambda value: value >= 0.99,
    )


def _ours(results: Results, kind: str, wanted: int) -> Figures | None:
    """Our figures at the wanted size, else at the largest smaller one."""
    sizes = [rows for rows in results.sizes() if rows <= wanted]
    for rows in reversed(sizes):
        found = results.find(OURS, kind, rows)
        if found is not None and found.queries:
            return found
    return None


def _single(
    results: Results,
    target: str,
    wanted: int,
    kind: str,
    value_of: Callable[[Figures], float | None],
    form: str,
    holds: Callable[[float], bool],
) -> Verdict:
    ours = _ours(results, kind, wanted)
    value = None if ours is None else value_of(ours)
    if ours is None or value is None:
        return Verdict(target, 0, "not measured", None)
    met = holds(value) if ours.rows == wanted else None
    return Verdict(target, ours.rows, form.format(value), met)


def _ratio(results: Results, target: str, wanted: int, kind: str, limit: float) -> Verdict:
    def ratio(ours: Figures) -> float | None:
        bare = results.bare(ours)
        if bare is None or "all" not in bare.queries:
            return None
        return ours.queries["all"].ratio_to(bare.queries["all"])

    return _single(results, target, wanted, kind, ratio, "{:.2f} x", lambda value: value <= limit)


def _faster(
    results: Results,
    target: str,
    peer: str,
    limit: float,
    kind: str = "flat",
    their_kind: str | None = None,
) -> Verdict:
    """At the largest size at which both were measured."""
    for rows in reversed(results.sizes()):
        ours = results.find(OURS, kind, rows)
        theirs = results.find(peer, their_kind or kind, rows)
        if ours and theirs and "all" in ours.queries and "all" in theirs.queries:
            times = theirs.queries["all"].ratio_to(ours.queries["all"])
            return Verdict(target, rows, f"{times:.1f} x", times >= limit)
    return Verdict(target, 0, "not measured", None)


def _against_chroma(results: Results) -> Verdict:
    """Against Chroma's fastest setting that finds as much as we do."""
    target = "query, hnsw: faster than Chroma at equal recall"
    for rows in reversed(results.sizes()):
        ours, theirs = results.find(OURS, "hnsw", rows), results.find("chroma", "hnsw", rows)
        if not (ours and theirs and "all" in ours.queries and theirs.efforts):
            continue
        mine = ours.queries["all"]
        enough = [point for point in theirs.efforts if point.recall >= mine.recall - 0.001]
        if not enough:
            best = max(point.recall for point in theirs.efforts)
            shown = f"recall {mine.recall:.3f}; Chroma reaches {best:.3f} at most"
            return Verdict(target, rows, shown, True)
        point = min(enough, key=lambda found: found.p50_ms)
        shown = (
            f"{mine.p50_ms:.2f} ms at {mine.recall:.3f}; Chroma {point.p50_ms:.2f} ms "
            f"at {point.recall:.3f} (ef {point.effort})"
        )
        return Verdict(target, rows, shown, mine.p50_ms < point.p50_ms)
    return Verdict(target, 0, "not measured", None)


def _filtered(
    results: Results,
    kind: str,
    target: str,
    values_of: Callable[[Figures], dict[str, float]],
    better: Callable[[float, float], bool],
    limit: float,
) -> Verdict:
    """The worst filter at the largest size."""
    ours = _ours(results, kind, 10**9)
    values = {} if ours is None else values_of(ours)
    if ours is None or not values:
        return Verdict(target, 0, "not measured", None)
    label = (min if better is operator.ge else max)(values, key=lambda name: values[name])
    shown = f"{values[label]:.3f}" if better is operator.ge else f"{values[label]:.2f} x"
    met = better(values[label], limit)
    return Verdict(target, ours.rows, f"{shown} at {label}", met)


def _recalls(ours: Figures) -> dict[str, float]:
    return {label: ours.queries[label].recall for label in _FILTERS if label in ours.queries}


def _slowdowns(ours: Figures) -> dict[str, float]:
    whole = ours.queries.get("all")
    if whole is None:
        return {}
    return {
        label: ours.queries[label].ratio_to(whole) for label in _FILTERS if label in ours.queries
    }
