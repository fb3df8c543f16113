"""`borrowed`: odds for pairs of kinds that nothing tells of, from those that are like them."""

from __future__ import annotations

from dataclasses import replace

from unisem.calibration.calibration import Pair, Pairs
from unisem.calibration.kinds import QUERY_KINDS, SIDES

_FIRST = 3.0  # a standard score that first hits have


def borrowed(pairs: Pairs, standing_out: Pairs) -> Pairs:
    """Give each pair without odds those of another, by how far a hit stands out from its query's.

    A query of one kind takes them from its odds for the other kind of vectors; a query of text and
    picture takes the lower ones of a text's and a picture's. What has no such pair stays as it is.

    Args:
        pairs: With the odds that something tells.
        standing_out: The same, told by scores that are standard of each query.
    """
    found, known = dict(pairs), dict(standing_out)

    def take(target: Pair, source: Pair) -> None:
        if known[source].slope is not None:
            odds = replace(known[source], alpha=pairs[target].alpha, k=pairs[target].k)
            found[target] = known[target] = replace(odds, evidence="other pair", queries=0)

    text, image = SIDES
    for asked in SIDES:
        for kind, other in ((text, image), (image, text)):
            if pairs[asked, kind].slope is None:
                take((asked, kind), (asked, other))
    for kind in SIDES:
        sources: list[Pair] = [("text", kind), ("image", kind)]
        if all(known[source].slope is not None for source in sources):
            take(("both", kind), min(sources, key=lambda source: _at_first(known, source)))
    return found


def borrowed_by_fused(pairs: Pairs, standing_out: Pairs) -> Pairs:
    """Give fused vectors the lower of the odds that texts and pictures have with each query.

    Args:
        pairs: With fused vectors, which have no odds.
        standing_out: Of texts and pictures, told by scores that are standard of each query.
    """
    found = dict(pairs)
    known = borrowed(standing_out, standing_out)
    for asked in QUERY_KINDS:
        sources: list[Pair] = [(asked, kind) for kind in SIDES]
        told = [source for source in sources if known[source].slope is not None]
        if told:
            odds = known[min(told, key=lambda source: _at_first(known, source))]
            own = found[asked, "both"]
            evidence = replace(odds, evidence="other pair", queries=0)
            found[asked, "both"] = replace(evidence, alpha=own.alpha, k=own.k)
    return found


def _at_first(pairs: Pairs, pair: Pair) -> float:
    return (pairs[pair].slope or 0.0) * _FIRST + pairs[pair].intercept
