"""`borrowed`: odds for pairs of kinds that nothing tells of, from those that are like them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unisem.calibration.calibration import Calibration, Pair, PairChoice, Pairs
from unisem.calibration.kinds import DOCUMENT_KINDS, DocumentKind, QueryKind

_EXAMPLES = 64  # queries of a bank over which a pair's usual scale is the mean
_FIRST = 3.0  # a standard score that first hits have


def borrowed(pairs: Pairs, calibration: Calibration) -> Pairs:
    """Give each pair without odds those of another, at the same standard score.

    A query of one kind takes them from its odds for the other kind of vectors; a query of text and
    picture takes the lower ones of a text's and a picture's. What has no such pair stays as it is.

    Args:
        pairs: With the odds that something tells.
        calibration: Whose scales say what a standard score is, its choices made.
    """
    found = dict(pairs)
    kinds: tuple[DocumentKind, DocumentKind] = DOCUMENT_KINDS  # type: ignore[assignment]
    for asked in DOCUMENT_KINDS:
        for kind, other in (kinds, kinds[::-1]):
            if pairs[asked, kind].slope is None:
                found[asked, kind] = _from(pairs, (asked, other), (asked, kind), calibration)
    for kind in kinds:
        sources: list[Pair] = [("text", kind), ("image", kind)]
        if found["both", kind].slope is None and all(found[it].slope is not None for it in sources):
            lower = min(sources, key=lambda it: _at_first(_standard(found[it], it, calibration)))
            found["both", kind] = _from(found, lower, ("both", kind), calibration)
    return found


def _from(pairs: Pairs, source: Pair, target: Pair, calibration: Calibration) -> PairChoice:
    if pairs[source].slope is None:
        return pairs[target]
    slope, intercept = _standard(pairs[source], source, calibration)
    middle, spread = _usual(target, calibration)
    return replace(
        pairs[target],
        slope=slope / spread,
        intercept=intercept - slope * middle / spread,
        candidates=pairs[source].candidates,
        evidence="other pair",
    )


def _standard(choice: PairChoice, pair: Pair, calibration: Calibration) -> tuple[float, float]:
    """Log-odds per standard score, and at standard score 0."""
    assert choice.slope is not None
    middle, spread = _usual(pair, calibration)
    return choice.slope * spread, choice.intercept + choice.slope * middle


def _at_first(odds: tuple[float, float]) -> float:
    return odds[0] * _FIRST + odds[1]


def _usual(pair: Pair, calibration: Calibration) -> tuple[float, float]:
    """Middle and spread of the scores of which a pair's odds are; 0 and 1 of standard ones."""
    asked: QueryKind = pair[0]
    if asked in calibration.choices.scaled:
        return 0.0, 1.0
    standard = replace(calibration, choices=replace(calibration.choices, scaled=(asked,)))
    bank = standard.queries_of[asked].bank
    queries = standard.queries(bank[:: max(1, len(bank) // _EXAMPLES)], asked)
    scales = [query.scale(pair[1]) for query in queries]
    middle = float(np.mean([scale.middle for scale in scales]))
    return middle, float(np.mean([scale.spread for scale in scales]))
