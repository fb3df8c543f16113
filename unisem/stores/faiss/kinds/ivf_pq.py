"""`IvfPQ`: searches by two bits a component in lists, and scores what it finds by the vectors.

Product quantisation (Jégou et al. 2011): vectors are turned (`Rotation.in_pairs`), and each pair of
components of what is left after the list's centre is taken away becomes one of sixteen pairs. Faiss
looks up 32 codes at a time in registers (arXiv 1704.07355). Codes are 1/15 of the vectors.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.exact_scan import Found, nearest_of, scan
from unisem.stores.faiss.index_settings import IndexKind, IndexSettings
from unisem.stores.faiss.kinds.base import FEW, VectorIndex, checked, mapped, selector_of
from unisem.stores.faiss.kinds.rotation import Rotation
from unisem.stores.faiss.kinds.tuning import MARGIN, K, Samples, Tuning
from unisem.stores.faiss.raw_file import RawFile

OVERSAMPLING = (2, 3, 4, 6, 8, 12, 16, 24, 32)
"""What is tried."""
_PROBES = (8, 16, 32, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024)
_RAISED = 6  # times the lists, and a third of it the vectors, for queries of the other modality
_USUAL = 8  # times as many are scored where there was nothing to measure
_NEXT_TO_NOTHING = 0.002  # recall that is not worth scoring more vectors
_AS_MANY = 45  # codes that are gone through while a vector is fetched and scored
_SCANNED = 1_000  # vectors that are scored as fast as any lists are looked at
_OF_A_HIT = 64  # vectors that are compared while a record is read and becomes a hit
_WIDER = 4  # times the lists that so many vectors would fill
_LATE = 0.12  # of the nearest, that may be in the less likely half
_OF_A_LIST = 32  # vectors from which a centre is found
_LEARNT_FROM = 10_000  # vectors at least from which the pairs are found
_PAIRS = 16  # that four bits tell apart
_ROUNDS = 8  # of k-means; more of them find no more


class IvfPQ(VectorIndex):
    """Codes in lists of near ones, of which a query looks at some; filtered as they are read.

    Args:
        vectors: See the base.
        rotation: What turns vectors before they are encoded.
        index: Faiss's index of the codes.
        tuning: What it needs.
    """

    kind: ClassVar[IndexKind] = "ivf_pq"

    def __init__(self, vectors: RawFile, rotation: Rotation, index: Any, tuning: Tuning) -> None:
        super().__init__(vectors, rotation.before(index))
        self._rotation = rotation
        self._codes = index
        self.tuning: Tuning = tuning
        self._list_of: NDArray[np.int32] | None = None  # of each vector, once a filter asks
        self._counted: tuple[NDArray[np.bool_], NDArray[np.int64]] | None = None

    @classmethod
    def build(cls, vectors: RawFile, samples: list[Samples]) -> Self:
        """Find the lists, encode all vectors, and find out what a search needs to find them."""
        import faiss

        count, even = len(vectors), vectors.dimension + vectors.dimension % 2
        lists = max(1, min(math.isqrt(count), count // 39))  # Faiss wants 39 for each
        index = faiss.IndexIVFPQFastScan(
            faiss.IndexFlatIP(even), even, lists, even // 2, 4, faiss.METRIC_INNER_PRODUCT
        )
        index.by_residual = True
        index.cp.spherical = False  # codes are of what is left after the centre is taken away
        for learning in (index.cp, index.pq.cp):
            learning.niter = _ROUNDS
            learning.min_points_per_centroid = 1
        drawn = np.random.default_rng(0).permutation(count)
        some = vectors.at(np.sort(drawn[: max(_OF_A_LIST * lists, _LEARNT_FROM)]))
        some = np.resize(some, (max(_PAIRS, len(some)), vectors.dimension))  # again, if too few
        rotation = Rotation.in_pairs(some)
        index.train(rotation.of(some))
        rotation.fill(index, vectors)
        built = cls(vectors, rotation, index, Tuning(_USUAL, max(1, lists // 4), {}, 0))
        built.tuning = tuned(built, samples)
        return built

    @classmethod
    def opened(cls, path: Path, vectors: RawFile, tuning: Tuning) -> Self:
        """Read what was written.

        Raises:
            OSError, RuntimeError, ValueError: It is not there, or something else.
        """
        whole = mapped(path)
        rotation, index = Rotation.split(whole)
        found = cls(vectors, rotation, checked(index, "IndexIVFPQFastScan"), tuning)
        found._index = whole  # which owns the other
        return found

    @property
    def lists(self) -> int:
        """How many there are."""
        return int(self._codes.nlist)

    def is_scanned(self, count: int) -> bool:
        """See the base."""
        if len(self.vectors) <= FEW:  # what a search needs was not measured
            return True
        return count <= max(_SCANNED, self.effort_of(self.tuning) / _AS_MANY)

    def effort_of(self, tuning: Tuning) -> float:
        """How long a search takes, in codes that are gone through meanwhile."""
        looked_at = tuning.probes / self.lists * len(self.vectors)
        return looked_at + _AS_MANY * (K + MARGIN) * tuning.oversampling

    def _search(
        self,
        queries: Vector,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[Found]:
        times = settings.effort * (settings.oversampling or self.tuning.oversampling)
        depth = min(count, max(fetch, math.ceil(fetch * times)))
        if depth > count / 2 or _OF_A_HIT * fetch > count:  # to score them all takes no longer
            return scan(self.vectors, queries, fetch, eligible, count)
        # What was measured is of the ten nearest; more of them lie in more lists.
        more = int(_WIDER * (fetch - K - MARGIN) * self.lists / count)
        probes = max(1, math.ceil(settings.effort * self.tuning.probes) + max(0, more))
        places = self.likely(queries, depth, probes, eligible, min(depth, 2 * fetch))
        found = [
            nearest_of(self.vectors, query, at, fetch)
            for query, at in zip(queries, places, strict=True)
        ]
        if eligible is None:
            return found
        return [
            (best[:0], nearest[:0]) if _is_blurred(at, nearest) else (best, nearest)
            for at, (best, nearest) in zip(places, found, strict=True)
        ]

    def likely(
        self,
        queries: Vector,
        depth: int,
        probes: int,
        eligible: NDArray[np.bool_] | None,
        least: int,
    ) -> list[NDArray[np.int64]]:
        """Positions that codes say are nearest, nearest first.

        Args:
            queries: ``(q, d)`` float32.
            depth: How many are wanted to be scored.
            probes: How many lists are looked at, if enough may be found in them.
            eligible: ``(n,)`` which may be found; ``None`` for all.
            least: How many are enough.
        """
        turned, selector = self._rotation.of(queries), selector_of(eligible)
        found: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(turned)
        needed = self._needed(turned, probes, eligible)
        for lists in set(needed.tolist()):
            alike = np.flatnonzero(needed == lists)
            self._look(turned, alike, depth, lists, selector, least, found)
        return found

    def _needed(
        self, turned: Vector, probes: int, eligible: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """For each query the lists in which as many may be found as in so many usual ones."""
        probes = min(probes, self.lists)
        if eligible is None or probes == self.lists:
            return np.full(len(turned), probes)
        counts = self._counts(eligible)
        _, order = self._codes.quantizer.search(turned, self.lists)
        enough = min(counts.sum(), math.ceil(probes * counts.sum() / self.lists))
        there = np.cumsum(counts[order], axis=1) < enough
        lists: NDArray[np.int64] = np.clip(there.sum(axis=1) + 1, probes, self.lists)
        return lists

    def _counts(self, eligible: NDArray[np.bool_]) -> NDArray[np.int64]:
        """``(lists,)`` how many of each may be found; those of the last selection are kept."""
        import faiss

        if self._counted is not None and self._counted[0] is eligible:
            return self._counted[1]
        if self._list_of is None:
            list_of, inverted = np.empty(len(self.vectors), np.int32), self._codes.invlists
            for number in range(self.lists):
                size = inverted.list_size(number)
                if size:
                    list_of[faiss.rev_swig_ptr(inverted.get_ids(number), size)] = number
            self._list_of = list_of
        counts = np.bincount(self._list_of[eligible], minlength=self.lists)
        self._counted = eligible, counts
        return counts

    def _look(
        self,
        turned: Vector,
        missing: NDArray[np.int64],
        depth: int,
        probes: int,
        selector: Any | None,
        least: int,
        found: list[NDArray[np.int64]],
    ) -> None:
        """Fill in what some of the queries find, in more lists where less than enough is found."""
        import faiss

        while len(missing):
            probes = min(probes, self.lists)
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
            _, places = self._codes.search(turned[missing], depth, params=parameters)
            for number, row in zip(missing.tolist(), places, strict=True):
                found[number] = row[row >= 0]
            if probes == self.lists:
                break
            missing = missing[(places >= 0).sum(axis=1) < least]  # what may be found is not near
            probes *= 4


def _is_blurred(likely: NDArray[np.int64], nearest: NDArray[np.int64]) -> bool:
    """Whether codes do not tell which of the likely ones are nearest, so that more are elsewhere.

    Of what is far from the query very many are nearly as far: those that prove nearest lie anywhere
    among those that codes hold likely. Then all that may be found are compared.
    """
    late = np.isin(likely[len(likely) // 2 :], nearest).sum()
    return bool(late > _LATE * len(nearest))


def tuned(built: IvfPQ, samples: list[Samples]) -> Tuning:
    """The quickest way to find enough of what the samples look for, and how much that finds.

    The more lists are looked at, the fewer vectors need be scored. Queries of the other modality
    lie further away: of pictures, words need four to six times the lists that pictures need, and
    twice as many scored. So much is taken where the samples have queries of one modality only;
    questions that are unlike the texts of a space are served by it, too.

    Args:
        built: The index.
        samples: Queries; none if the vectors are so few that they are scanned.
    """
    if not samples or len(built.vectors) <= FEW:
        return built.tuning
    asked = {group.asked for group in samples}
    raised = 1 if len(asked) > 1 else _RAISED
    queries = sum(len(group.queries) for group in samples)
    usual = replace(built.tuning, queries=queries, raised=raised)
    quickest: Tuning | None = None
    for probes in sorted({min(built.lists, probes) for probes in (*_PROBES, built.lists)}):
        least = replace(usual, probes=min(built.lists, probes * raised), oversampling=1)
        if quickest and built.effort_of(least) >= built.effort_of(quickest):
            break
        found = _least(built, replace(usual, probes=probes), samples)
        found = replace(
            found,
            probes=least.probes,
            oversampling=found.oversampling * (raised // 3 or 1),
        )
        is_better = not quickest or built.effort_of(found) < built.effort_of(quickest)
        if found.is_enough and is_better:
            quickest = found
    return quickest or found


def _least(built: IvfPQ, usual: Tuning, samples: list[Samples]) -> Tuning:
    """As many lists as are usual, and the least oversampling that finds enough in them."""
    fetch = K + MARGIN
    depths = [fetch * times for times in OVERSAMPLING]
    found: dict[str, NDArray[np.float64]] = {}
    for group in samples:
        count = len(built.vectors) if group.eligible is None else int(group.eligible.sum())
        if built.is_scanned(count):
            found[group.name] = np.ones(len(depths))
            continue
        depth = min(count, depths[-1])
        likely = built.likely(group.queries, depth, usual.probes, group.eligible, 2 * fetch)
        found[group.name] = group.recalls(likely, depths)
    wanted = {it.name: min(it.enough, found[it.name][-1] - _NEXT_TO_NOTHING) for it in samples}
    place = next(
        place
        for place in range(len(depths))
        if all(shares[place] >= wanted[name] for name, shares in found.items())
    )
    return replace(
        usual,
        oversampling=OVERSAMPLING[place],
        recalls={name: float(shares[place]) for name, shares in found.items()},
        is_enough=all(found[group.name][-1] >= group.enough for group in samples),
    )
