"""`fit_calibration`: a calibration of a sample, what helps chosen on a part held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Literal

import numpy as np

from unisem.calibration.borrowing import borrowed, borrowed_by_fused
from unisem.calibration.calibration import (
    Calibration,
    Choices,
    Evidence,
    Pair,
    PairChoice,
    Pairs,
)
from unisem.calibration.kinds import QUERY_KINDS, SIDES, QueryKind
from unisem.calibration.reference import Reference, scaled
from unisem.calibration.relevance import Odds
from unisem.calibration.sample import FEWEST, Sample
from unisem.calibration.scale import Floats
from unisem.calibration.trial import Judged, Trial, one_list
from unisem.records import Modality, Vector

BANK = 1024
"""The most examples of each kind that a calibration keeps."""
ALPHAS = (0.25, 0.5, 0.75, 1.0)
KS = (8, 32, 128)
RAW = Choices(centred=False, scaled=())
_ACROSS: tuple[Pair, ...] = (("text", "image"), ("image", "text"))
_LEAST = FEWEST // 4  # texts, and pictures, of a half
_MOST = 500  # groups of each half that choices are made on
_SURE = 3.0  # standard errors that a gain of the whole must exceed
_LIKELY = 1.0  # standard errors that a gain of one step must exceed
_SCORES: tuple[Literal["product", "standard"], ...] = ("product", "standard")
"""What odds are told by.

How near a hit is, and how near the query is to much else, tell more than how far the hit stands out
from the query's own others: where many things are answers none stands out. But nearness does not
compare between pairs, and standing out does, so that is what odds are borrowed by.
"""
_SHUT_OUT = 0.25  # of the places that are a kind's by number, below which it is shut out


def fit_calibration(
    sample: Sample, *, fingerprint: str, seed: int = 0, bank: int = BANK
) -> Calibration:
    """Fit means, hub biases and scales.

    The sample is halved by group. What is fitted to one half is tried on the other, both ways, by
    nDCG@10: the hub bias, its ``k`` and its ``alpha`` for each pair of kinds in a list of one kind,
    the scale for each kind of query in one list of both; each where it gains more than a standard
    error. The whole must gain more than three, or nothing is done; nor is what is likely to cost
    answers of the query's own kind. The calibration is then fitted anew to all.

    Args:
        sample: Vectors of at least `FEWEST` texts and pictures.
        fingerprint: Of their encoder.
        seed: Decides what is drawn.
        bank: The most examples of each kind to keep.

    Raises:
        CalibrationError: Too few, one kind missing, or vectors that are no unit vectors.
    """
    sample.check()
    whole = _untuned(sample, fingerprint, seed, bank)
    halves = sample.halves(np.random.default_rng(seed), _MOST)
    if any(min(len(half.texts), len(half.images)) < _LEAST for half in halves):
        whole = replace(whole, choices=Choices())  # too few groups to try anything on
        return _with_fused(whole, sample, whole.pairs, bank)
    trials = [
        Trial(_untuned(fitted, fingerprint, seed, bank), tried)
        for fitted, tried in (halves, halves[::-1])
    ]
    choices, pairs = _chosen(trials, whole.pairs)
    product, standard = (_odds(trials, choices, pairs, score) for score in _SCORES)
    found = replace(whole, choices=choices, pairs=borrowed(product, standard))
    return _with_fused(found, sample, standard, bank)


def _untuned(sample: Sample, fingerprint: str, seed: int, bank: int) -> Calibration:
    """Means and banks, and nothing done with them."""
    rng = np.random.default_rng(seed)
    asked: dict[QueryKind, Vector] = {
        "text": sample.asked,
        "image": sample.images,
        "both": _composed(sample, rng),
    }
    return Calibration(
        fingerprint=fingerprint,
        documents_of={
            kind: Reference.of(sample.documents(kind), size=bank, rng=rng) for kind in SIDES
        },
        queries_of={kind: Reference.of(rows, size=bank, rng=rng) for kind, rows in asked.items()},
        choices=RAW,
        pairs={pair: PairChoice() for pair in product(QUERY_KINDS, SIDES)},
        seed=seed,
    )


def _composed(sample: Sample, rng: np.random.Generator) -> Vector:
    """Queries of a text and a picture that have nothing to do with each other."""
    count = max(len(sample.asked), len(sample.images))
    texts = sample.asked[rng.permutation(count) % len(sample.asked)]
    images = sample.images[rng.permutation(count) % len(sample.images)]
    return scaled(texts + images)


def _chosen(trials: Sequence[Trial], pairs: Pairs) -> tuple[Choices, Pairs]:
    """All of it where that surely gains in one list, or where nothing tells; else nothing.

    Right answers by chance are no gain: a list in which both kinds come by turns has more of them
    than one that begins with a hundred of the wrong kind.
    """
    raw = _mixed(trials, RAW, pairs)
    if not len(raw):
        return Choices(), pairs
    centred = replace(RAW, centred=True)
    biased = dict(_biased(trials, centred, pairs))
    compared: tuple[QueryKind, ...] = tuple(
        asked
        for asked in SIDES
        if _gains_by_scale(trials, pairs, biased, asked)
        and not _harms(trials, Choices(), biased, asked)
    )
    choices = Choices(scaled=(*compared, "both") if "image" in compared else compared)
    for pair in biased:  # biases that differ by kind mean something on one scale only
        if pair[0] not in choices.scaled:
            biased[pair] = pairs[pair]
    found = _mixed(trials, choices, biased)
    count, before = len(raw), float(raw.mean())
    harmful = any(_harms(trials, choices, biased, asked) for asked in SIDES)
    if _tells(trials, pairs) and _exceeds(found - raw, _SURE) and not harmful:
        return replace(choices, queries=count, before=before, after=float(found.mean())), biased
    return replace(RAW, queries=count, before=before, after=before), pairs


def _gains_by_scale(trials: Sequence[Trial], pairs: Pairs, biased: Pairs, asked: Modality) -> bool:
    """Whether one scale with hub biases is likely to gain over centring, in answers or in both.

    Where a sample's texts are answered by pictures alone, a list of nothing but pictures is the
    best by answers, and kin tell that texts are missing.
    """
    centred = replace(RAW, centred=True)
    answers, kin = (
        found(trials, Choices(), biased, (asked,)) - found(trials, centred, pairs, (asked,))
        for found in (_mixed, _mixed_with_kin)
    )
    return _exceeds(answers, _LIKELY) or _exceeds(np.concatenate([answers, kin]), _LIKELY)


def _harms(trials: Sequence[Trial], choices: Choices, pairs: Pairs, asked: Modality) -> bool:
    """Whether queries of a kind are likely to find less, kin counted as right answers, too."""
    plain = dict.fromkeys(pairs, PairChoice())
    if _shuts_out(trials, RAW, plain, asked):
        return False
    raw = _mixed_with_kin(trials, RAW, plain, (asked,))
    return _exceeds(raw - _mixed_with_kin(trials, choices, pairs, (asked,)), _LIKELY)


def _shuts_out(trials: Sequence[Trial], choices: Choices, pairs: Pairs, asked: Modality) -> bool:
    """Whether queries of a kind find far fewer of the other kind than there are.

    Kin are no measure then: they are found by shutting out all else.
    """
    found, there = [], []
    for trial in trials:
        texts, images = len(trial.sample.texts), len(trial.sample.images)
        top = one_list(trial.judged(choices, pairs), asked).top()
        found.append((top < texts) == (asked == "image"))
        there.append((texts if asked == "image" else images) / (texts + images))
    return bool(np.concatenate(found).mean() < _SHUT_OUT * np.mean(there))


def _tells(trials: Sequence[Trial], pairs: Pairs) -> bool:
    """Whether texts and pictures that belong together are nearer than by chance."""
    judged = [trial.judged(RAW, pairs) for trial in trials]
    gains = [half[pair].ndcg() - half[pair].chance for half in judged for pair in _ACROSS]
    return _exceeds(np.concatenate(gains), _SURE)


def _biased(trials: Sequence[Trial], choices: Choices, pairs: Pairs) -> Pairs:
    """For each pair the hub bias that gains most, of those that are likely to; else none.

    A query of both kinds at once has no answers to tell, and takes the weaker of the two.
    """
    plain = _apart(trials, choices, pairs)
    best = {pair: (PairChoice(queries=len(raw)), 0.0) for pair, raw in plain.items()}
    for alpha, k in product(ALPHAS, KS):
        tried = {pair: PairChoice(alpha=alpha, k=k) for pair in pairs}
        for pair, after in _apart(trials, choices, tried).items():
            raw = plain[pair]
            if not len(raw):
                continue
            gain = float((after - raw).mean())
            if gain > best[pair][1] and _exceeds(after - raw, _LIKELY):
                best[pair] = replace(tried[pair], queries=len(raw)), gain
    chosen = {pair: choice for pair, (choice, _) in best.items()}
    for kind in SIDES:
        chosen["both", kind] = min(chosen["text", kind], chosen["image", kind], key=_strength)
    return chosen


def _strength(choice: PairChoice) -> float:
    return choice.alpha


def _apart(trials: Sequence[Trial], choices: Choices, pairs: Pairs) -> dict[Pair, Floats]:
    """nDCG@10 of the queries of each pair that have answers, in lists of one kind."""
    judged = [trial.judged(choices, pairs) for trial in trials]
    return {pair: np.concatenate([half[pair].ndcg() for half in judged]) for pair in judged[0]}


def _mixed(
    trials: Sequence[Trial],
    choices: Choices,
    pairs: Pairs,
    asked: Sequence[Modality] = SIDES,
) -> Floats:
    """nDCG@10 of the queries of some kinds that have answers, in one list of both kinds."""
    judged = [trial.judged(choices, pairs) for trial in trials]
    return np.concatenate([one_list(half, kind).ndcg() for half in judged for kind in asked])


def _mixed_with_kin(
    trials: Sequence[Trial], choices: Choices, pairs: Pairs, asked: Sequence[Modality]
) -> Floats:
    """The same with what is alike of the query's own kind as right answers, too."""
    judged = [trial.with_kin(trial.judged(choices, pairs)) for trial in trials]
    return np.concatenate([one_list(half, kind).ndcg() for half in judged for kind in asked])


def _exceeds(gains: Floats, errors: float) -> bool:
    """Whether there is a mean gain of more than some standard errors."""
    if not len(gains):
        return False
    return bool(gains.mean() > errors * float(gains.std()) / np.sqrt(len(gains)))


def _with_fused(
    calibration: Calibration, sample: Sample, standing_out: Pairs, bank: int
) -> Calibration:
    """The same for fused vectors, too, if there are enough.

    They have a mean and examples of their own. What a text or a picture that is in such a vector
    finds tells nothing of what others find; so the hub bias is the weaker of texts' and pictures',
    and odds are borrowed.
    """
    if sample.fused is None or len(sample.fused) < FEWEST:
        return calibration
    seen = Reference.of(sample.fused, size=bank, rng=np.random.default_rng(calibration.seed))
    pairs = dict(calibration.pairs)
    for asked in QUERY_KINDS:
        weaker = min((pairs[asked, kind] for kind in SIDES), key=_strength)
        pairs[asked, "both"] = PairChoice(alpha=weaker.alpha, k=weaker.k)
    return replace(
        calibration,
        documents_of={**calibration.documents_of, "both": seen},
        queries_of={**calibration.queries_of, "both": seen},
        pairs=borrowed_by_fused(pairs, standing_out),
    )


def _odds(
    trials: Sequence[Trial], choices: Choices, pairs: Pairs, score: Literal["product", "standard"]
) -> Pairs:
    scored = replace(choices, scaled=QUERY_KINDS if score == "standard" else ())
    found: dict[Pair, list[Judged]] = {pair: [] for pair in pairs}
    few: list[Judged] = []
    for trial in trials:
        for pair, judged in trial.judged(scored, pairs).items():
            found[pair].append(judged.by_product(pair[1]) if score == "product" else judged)
        # Where questions are the texts themselves, texts that belong together are copies.
        if trial.sample.same_words and (asked := trial.by_few_words(scored, pairs)) is not None:
            few.append(asked.by_product("text") if score == "product" else asked)
    plain = {pair: replace(choice, score=score) for pair, choice in pairs.items()}
    told = {pair: _told(plain[pair], judged, "pairs") for pair, judged in found.items()}
    by_few_words = _told(plain["text", "text"], few, "few words")
    if by_few_words.slope is not None:
        told["text", "text"] = by_few_words
    return told


def _told(choice: PairChoice, judged: Sequence[Judged], evidence: Evidence) -> PairChoice:
    """A pair with the odds that some answers tell; as it is if they are too few."""
    if not judged:
        return choice
    tops = [half.tops() for half in judged]
    scores, right, near = (np.concatenate(part) for part in zip(*tops, strict=True))
    odds = Odds.fitted(scores, right, near if len(near) else None)
    if odds is None:
        return choice
    among = sum(half.scores.shape[1] for half in judged) // len(judged)
    return replace(
        choice,
        slope=odds.slope,
        intercept=odds.intercept,
        nearness=odds.nearness,
        candidates=among,
        evidence=evidence,
    )
