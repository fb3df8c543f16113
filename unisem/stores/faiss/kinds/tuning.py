"""`Tuning`: what an index was found to need on the space's own vectors; `Samples`: on which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import DocumentKind, QueryKind
from unisem.calibration.kinds import DOCUMENT_KINDS, SIDES
from unisem.records import Vector
from unisem.stores.calibrated import Calibrated
from unisem.stores.faiss.exact_scan import scan
from unisem.stores.faiss.raw_file import RawFile
from unisem.stores.faiss.rawvectors import VectorId

K = 10  # neighbours of which a recall is said
MARGIN = 8  # more of them that a search asks for, so that ties are seen
_ENOUGH = 0.995  # of the neighbours; to find the others as well takes as long again
_ENOUGH_APART = 0.99  # the same of one kind, asked for by the other
_EACH = 64  # queries of each group


@dataclass(frozen=True, slots=True)
class Tuning:
    """How hard a search need try.

    Attributes:
        oversampling: How many times more vectors than wanted are scored exactly.
        probes: How many lists are looked at; 0 where there are none.
        recalls: For each group of queries the share of the ten nearest vectors that so are found.
        queries: How many queries there were in all.
        is_enough: Whether that is as much as is wanted.
        raised: How many times the lists are what the queries needed, as there were none of the
            other modality.
    """

    oversampling: int
    probes: int
    recalls: Mapping[str, float]
    queries: int
    is_enough: bool = True
    raised: int = 1

    @property
    def described(self) -> str:
        """In one clause, for a person."""
        tried = f"{self.oversampling} times as many as wanted are scored exactly"
        lists = f"{self.probes} lists"
        if self.raised > 1:
            lists += f" ({self.raised} times what these need, for queries of the other modality)"
        tried = f"{lists} are looked at, {tried}"
        if not self.recalls:
            return tried
        shares = ", ".join(f"{share:.3f} of {name}" for name, share in self.recalls.items())
        return f"recall@{K} {shares}, on {self.queries:,} held-out queries; {tried}"

    def to_json(self) -> dict[str, Any]:
        """As a seal keeps it."""
        return {
            "oversampling": self.oversampling,
            "probes": self.probes,
            "recalls": dict(self.recalls),
            "queries": self.queries,
            "is_enough": self.is_enough,
            "raised": self.raised,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        recalls = {str(name): float(share) for name, share in value["recalls"].items()}
        found = cls(
            int(value["oversampling"]),
            int(value["probes"]),
            recalls,
            int(value["queries"]),
            bool(value["is_enough"]),
            int(value["raised"]),
        )
        if found.oversampling < 1 or found.probes < 0:
            raise ValueError("it cannot be less than one")
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Queries of one group, and what they should find.

    Attributes:
        asked: What the queries are of.
        name: The same for a person, and what they look for.
        queries: ``(q, d)`` as they are compared.
        eligible: ``(n,)`` which vectors are looked for; ``None`` for all.
        own: For each query the positions of its own record, which are not counted.
        nearest: For each query the positions of the ten nearest of the others, at least one.
        enough: The share of these that an index should find.
    """

    asked: DocumentKind
    name: str
    queries: Vector
    eligible: NDArray[np.bool_] | None
    own: list[NDArray[np.int64]]
    nearest: list[NDArray[np.int64]]
    enough: float

    def recalls(
        self, found: Iterable[NDArray[np.int64]], depths: Sequence[int]
    ) -> NDArray[np.float64]:
        """For each depth the mean share of the nearest among so many that are not a query's own.

        Args:
            found: For each query positions, the likeliest first.
            depths: How many of them are looked at.
        """
        shares = np.zeros(len(depths))
        for near, own, places in zip(self.nearest, self.own, found, strict=True):
            others = places[~np.isin(places, own)] if len(own) else places
            ranks = np.flatnonzero(np.isin(others, near))
            shares += np.searchsorted(ranks, depths) / len(near)
        return shares / len(self.nearest)


def samples_of(
    vectors: RawFile,
    vector_ids: NDArray[np.int64],
    raw: Vector,
    calibrated: Calibrated | None,
    seed: int = 0,
) -> list[Samples]:
    """Draw queries from a segment's own vectors, each modality apart.

    A record's vectors stand for queries of their modality; what they find of their own record does
    not count, as if it were held out. Texts ask for pictures apart, too, where there are both: that
    is the question that an index of mixed vectors serves worst. Where vectors are of one modality
    only, queries of the other are those that the calibration keeps, if there is one.

    Args:
        vectors: ``(n, d)`` as they are searched.
        vector_ids: ``(n,)`` their numbers.
        raw: ``(n, d')`` as they were given.
        calibrated: What they are calibrated by.
        seed: Decides what is drawn.
    """
    rng = np.random.default_rng(seed)
    codes = VectorId.kinds(vector_ids)
    are_images = codes == DOCUMENT_KINDS.index("image")
    rows = VectorId.rows(vector_ids)
    groups: list[Samples] = []
    for code, asked in enumerate(SIDES):
        name = "texts" if asked == "text" else "pictures"
        places = np.flatnonzero(codes == code)
        chosen = np.sort(rng.permutation(places)[:_EACH])
        if not len(chosen):
            if calibrated is not None and len(vectors):
                bank = calibrated.calibration.queries_of[asked].bank
                queries = _compared(rng.permutation(bank)[:_EACH], asked, calibrated)
                none = [np.empty(0, np.int64)] * len(queries)
                kept = f"{name} of the calibration"
                groups += _group(asked, kept, vectors, queries, None, none, _ENOUGH_APART)
            continue
        queries = _compared(raw[chosen], asked, calibrated)
        first, last = (np.searchsorted(rows, rows[chosen], side) for side in ("left", "right"))
        own = [np.arange(*ends) for ends in zip(first, last, strict=True)]
        groups += _group(asked, name, vectors, queries, None, own, _ENOUGH)
        images = int(are_images.sum())
        if asked == "text" and K + MARGIN < images < len(vector_ids):
            name = "pictures for texts"
            groups += _group(asked, name, vectors, queries, are_images, own, _ENOUGH_APART)
    return groups


def _compared(queries: Vector, asked: QueryKind, calibrated: Calibrated | None) -> Vector:
    if calibrated is None:
        return queries
    found = calibrated.calibration.queries(queries, asked)
    return np.stack([each.vector for each in found]).astype(np.float32)


def _group(
    asked: DocumentKind,
    name: str,
    vectors: RawFile,
    queries: Vector,
    eligible: NDArray[np.bool_] | None,
    own: list[NDArray[np.int64]],
    enough: float,
) -> list[Samples]:
    """One group; none if there is nothing but their own records for its queries to find."""
    count = len(vectors) if eligible is None else int(eligible.sum())
    fetch = min(count, K + max(map(len, own)))
    found = scan(vectors, np.ascontiguousarray(queries), fetch, eligible, count)
    nearest = [at[~np.isin(at, mine)][:K] for (_, at), mine in zip(found, own, strict=True)]
    kept = [place for place, others in enumerate(nearest) if len(others)]
    if not kept:
        return []
    own, nearest = [own[place] for place in kept], [nearest[place] for place in kept]
    return [Samples(asked, name, queries[kept], eligible, own, nearest, enough)]
