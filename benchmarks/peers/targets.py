"""`judge`: what is wanted of the store, beside what was measured and what bare Faiss can do."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.peers.data import ALL, CONDITIONS
from benchmarks.peers.registry import BARE, OURS
from benchmarks.peers.results import Figures, Results

RESCORED = ("rabitq", "ivf_rabitq", "ivf_pq")
USEFUL = 0.95
"""Recall from which on a peer's setting counts; of one that reaches less, its best does."""
_FILTERS = tuple(condition.label for condition in CONDITIONS if condition != ALL)
_EQUAL = 5e-4  # recall of half a hit in a hundred queries of ten
_NOT_MEASURED = "not measured"
_NONE = "–"


@dataclass(frozen=True)
class Verdict:
    """One line of what is wanted.

    Attributes:
        wanted: What.
        rows: At which size it was looked at.
        measured: The figure, as shown.
        met: Whether it holds; ``None`` if it was not measured.
        floor: What bare Faiss does at best, as shown.
    """

    wanted: str
    rows: int
    measured: str = _NOT_MEASURED
    met: bool | None = None
    floor: str = _NONE


@dataclass(frozen=True)
class Setting:
    """A contender as it is, or with one search effort.

    Attributes:
        name: Contender and effort.
        recall: ``ann_recall@10``.
        share: Its median as a share of bare Faiss's flat search in the same rounds.
    """

    name: str
    recall: float
    share: float

    @property
    def shown(self) -> str:
        """For a table."""
        return f"{1 / self.share:.1f} x at {self.recall:.3f} ({self.name})"


def judge(results: Results) -> list[Verdict]:
    """Each line of what is wanted, at the sizes that it names or the largest measured."""
    if not results.sizes():
        return []
    largest = max(results.sizes())
    return [
        *(_exact(results, rows) for rows in (100_000, 1_000_000)),
        *(_rescored(results, rows) for rows in (100_000, 1_000_000)),
        _build(results),
        *_single_figures(results, largest),
        *_filtered(results, largest),
        *_against_peers(results),
    ]


def settings_of(figures: Figures) -> list[Setting]:
    """What a contender's user may choose from; nothing if it was not asked."""
    whole = figures.queries.get("all")
    if whole is None or whole.speed is None:
        return []
    flat_ms = statistics.median(whole.flat_rounds_ms)  # of runs before shares were measured
    return [
        Setting(figures.name, whole.recall, 1 / whole.speed),
        *(
            Setting(
                f"{figures.name}, {point.effort}",
                point.recall,
                point.share or point.p50_ms / flat_ms,
            )
            for point in figures.efforts
        ),
    ]


def fastest(settings: list[Setting], recall: float) -> Setting | None:
    """The fastest that finds as much; else the one that finds most."""
    enough = [each for each in settings if each.recall >= recall - _EQUAL]
    if enough:
        return min(enough, key=lambda each: each.share)
    return max(settings, key=lambda each: each.recall, default=None)


def _settings(results: Results, peer: str, rows: int, kinds: tuple[str, ...]) -> list[Setting]:
    found = (results.find(peer, kind, rows) for kind in kinds)
    return [setting for figures in found if figures for setting in settings_of(figures)]


def _exact(results: Results, rows: int) -> Verdict:
    wanted = "exact: at least 2.5 x faster than IndexFlatIP"
    ours = fastest(_settings(results, OURS, rows, ("flat",)), 1)
    bare = fastest(_settings(results, BARE, rows, ("panorama",)), 1)
    floor = bare.shown if bare else _NONE
    if ours is None:
        return Verdict(wanted, rows, floor=floor)
    met = ours.recall >= 1 - _EQUAL and 1 / ours.share >= 2.5
    return Verdict(wanted, rows, ours.shown, met, floor)


def _rescored(results: Results, rows: int) -> Verdict:
    wanted = "rescored: at least 10 x faster at recall@10 of .995"
    ours = fastest(_settings(results, OURS, rows, RESCORED), 0.995)
    bare = fastest(_settings(results, BARE, rows, RESCORED), 0.995)
    floor = bare.shown if bare else _NONE
    if ours is None:
        return Verdict(wanted, rows, floor=floor)
    met = ours.recall >= 0.995 - _EQUAL and 1 / ours.share >= 10
    return Verdict(wanted, rows, ours.shown, met, floor)


def _build(results: Results) -> Verdict:
    """At the largest size at which both were built."""
    wanted = "index build: at least 10 x faster than HNSW at equal recall"
    for rows in reversed(results.sizes()):
        bare = _times_faster_built(results, BARE, rows)
        floor = f"{bare[0]:.1f} x ({bare[1]})" if bare else _NONE
        ours = _times_faster_built(results, OURS, rows)
        if ours is not None:
            return Verdict(wanted, rows, f"{ours[0]:.1f} x ({ours[1]})", ours[0] >= 10, floor)
    return Verdict(wanted, max(results.sizes()))


def _times_faster_built(results: Results, peer: str, rows: int) -> tuple[float, str] | None:
    """How many times faster than its graph a peer builds codes that find as much, and which."""
    graph = results.find(peer, "hnsw", rows)
    if graph is None or not graph.queries:
        return None
    recall = graph.queries["all"].recall
    best: tuple[float, str] | None = None
    for kind in RESCORED:
        figures = results.find(peer, kind, rows)
        if figures is None or not figures.build_seconds:
            continue
        reached = max((each.recall for each in settings_of(figures)), default=0)
        times = graph.build_seconds / figures.build_seconds
        if reached >= recall - _EQUAL and (best is None or times > best[0]):
            best = times, f"{kind}, {reached:.3f} beside {recall:.3f}"
    return best


def _single_figures(results: Results, rows: int) -> Iterator[Verdict]:
    """The worst of our kinds in each thing that is one figure of a contender."""
    ours = [each for each in results.figures if (each.peer, each.rows) == (OURS, rows)]
    bare = [each for each in results.figures if (each.peer, each.rows) == (BARE, rows)]
    yield _worst(
        "open to first answer: at most 100 ms", rows, ours, lambda each: each.open_ms or None,
        "{:,.0f} ms", lambda value: value <= 100, _least(bare, lambda each: each.open_ms, "ms"),
    )  # fmt: skip
    yield _worst(
        "private memory: at most 10 % of the vectors", rows, ours,
        lambda each: 100 * each.anonymous_mb / each.float_mb if each.open_ms else None,
        "{:.1f} %", lambda value: value <= 10,
        _least(bare, lambda each: 100 * each.anonymous_mb / each.float_mb, "%"),
    )  # fmt: skip
    yield _worst(
        f"delete of {ours[0].delete_batch if ours else 1000:,} ids: at most 50 ms, first included",
        rows, ours, lambda each: max(each.delete_ms, default=None),
        "{:.1f} ms", lambda value: value <= 50, _NONE,
    )  # fmt: skip
    yield _worst(
        "ingest: at least 60,000 rows/s", rows, ours,
        lambda each: -each.rows_per_second if each.rows_per_second else None,
        "{:,.0f} rows/s", lambda value: -value >= 60_000, _NONE,
    )  # fmt: skip


def _worst(
    wanted: str,
    rows: int,
    ours: list[Figures],
    value_of: Callable[[Figures], float | None],
    form: str,
    holds: Callable[[float], bool],
    floor: str,
) -> Verdict:
    values = {each.kind: value for each in ours if (value := value_of(each)) is not None}
    if not values:
        return Verdict(wanted, rows, floor=floor)
    kind = max(values, key=lambda name: values[name])
    shown = f"{form.format(abs(values[kind]))} ({kind})"
    return Verdict(wanted, rows, shown, holds(values[kind]), floor)


def _least(figures: list[Figures], value_of: Callable[[Figures], float], unit: str) -> str:
    values = {each.kind: value_of(each) for each in figures if each.open_ms}
    if not values:
        return _NONE
    kind = min(values, key=lambda name: values[name])
    return f"{values[kind]:,.0f} {unit} ({kind})"


def _filtered(results: Results, rows: int) -> Iterator[Verdict]:
    """The worst filter of each kind of ours."""
    for ours in results.figures:
        whole = ours.queries.get("all")
        if (ours.peer, ours.rows) != (OURS, rows) or whole is None:
            continue
        asked = {label: ours.queries[label] for label in _FILTERS if label in ours.queries}
        if not asked:
            continue
        times = {label: figures.ratio_to(whole) for label, figures in asked.items()}
        label = max(times, key=lambda name: times[name])
        floor = _NONE
        bare = results.bare(ours)
        if bare is not None and label in bare.queries:
            floor = f"{bare.queries[label].ratio_to(bare.queries['all']):.2f} x"
        wanted = f"filtered, {ours.kind}: at most 1 x unfiltered"
        yield Verdict(wanted, rows, f"{times[label]:.2f} x at {label}", times[label] <= 1, floor)


def _against_peers(results: Results) -> Iterator[Verdict]:
    for peer, times in (("lancedb", 15), ("chroma", 5), ("milvus-lite", 100)):
        for rows in results.sizes():
            theirs = _all_settings(results, peer, rows)
            wanted = f"at least {times} x faster than {peer} at its recall or better"
            ours = _all_settings(results, OURS, rows)
            if theirs and ours:
                yield _beside(wanted, rows, times, theirs, ours)


def _all_settings(results: Results, peer: str, rows: int) -> list[Setting]:
    here = [each for each in results.figures if (each.peer, each.rows) == (peer, rows)]
    return [setting for figures in here for setting in settings_of(figures)]


def _beside(
    wanted: str, rows: int, times: float, theirs: list[Setting], ours: list[Setting]
) -> Verdict:
    """The peer's setting that does best against our fastest that finds as much as it."""
    most = max(each.recall for each in theirs)
    counted = [each for each in theirs if each.recall >= min(USEFUL, most)]
    worst: tuple[float, Setting, Setting] | None = None
    for their in counted:
        enough = [each for each in ours if each.recall >= their.recall - _EQUAL]
        if not enough:
            shown = f"{their.name} finds {their.recall:.3f}, and nothing of ours as much"
            return Verdict(wanted, rows, shown, False)
        mine = min(enough, key=lambda each: each.share)
        found = their.share / mine.share
        if worst is None or found < worst[0]:
            worst = found, mine, their
    if worst is None:
        return Verdict(wanted, rows)
    found, mine, their = worst
    shown = f"{found:.1f} x ({mine.name} at {mine.recall:.3f}; {their.name} at {their.recall:.3f})"
    return Verdict(wanted, rows, shown, found >= times)
