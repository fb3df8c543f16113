"""`findings_of`: what a diagnosis means, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from unisem.calibration import Choices, DocumentKind
from unisem.calibration.kinds import DOCUMENT_KINDS
from unisem.evaluation.diagnosis import Change, Diagnosis, Finding, Places
from unisem.evaluation.scores import Scores

_APART = 0.9  # separability from which there are two clouds
_FAR = 0.3  # distance of their middles
_UNFAIR = 0.15  # by which a form's share of the places may miss its fair share
_SOME = 0.25  # share of the vectors from which a modality should be heard
_ALONE = 0.05  # share of the places below which it is not
_HUB = 0.1  # share of the answers that one record may have
_ENOUGH = 20  # queries below which nothing is said of them
_OFTEN = 4.0  # times as often as by chance
_LOST = 0.15  # share of the queries that a change may cost
_WANTED = 0.9  # share of the first ten that should be of the modality that is asked for
_STEADY = 0.5  # share of the first ten that two ways to ask should have in common
_SHIFT = 1.0  # deviations between the scores of two kinds
_CALIBRATE = (
    "Calibrate the space (unisem calibrate SPACE), so that scores of texts and of pictures are "
    "comparable; until then ask "
    'with modality="image" or modality="text" where you know what you want.'
)
_TRAIN = "Train the encoder on pairs like yours; the calibration has done what it can."
_PLURAL = {"text": "texts", "image": "pictures", "captioned image": "captioned pictures"}


def findings_of(found: Diagnosis) -> tuple[Finding, ...]:
    """Problems first, then what is as it should be."""
    every = [
        *_kinds(found),
        *_gap(found),
        *(finding for places in found.places for finding in _share(places, found.choices)),
        *_hubs(found),
        *_scores(found),
        *_cycle(found),
        *_robustness(found),
        *_paraphrases(found),
        *_modalities(found),
    ]
    return tuple(sorted(every, key=lambda finding: not finding.is_problem))


def _kinds(found: Diagnosis) -> Iterator[Finding]:
    if found.geometry is None:
        yield Finding(
            "kinds",
            False,
            "The space holds one kind of vectors only, so no modality can crowd out another.",
        )


def _gap(found: Diagnosis) -> Iterator[Finding]:
    geometry = found.calibrated_geometry or found.geometry
    if geometry is None or geometry.separability is None:
        return
    figures = (
        f"the middles of texts and pictures are {geometry.centroid_distance:.2f} apart, and a line "
        f"tells them apart in {_pct(geometry.separability)} of cases (50 % is chance)"
    )
    if geometry.separability < _APART or geometry.centroid_distance < _FAR:
        yield Finding("gap", False, f"Texts and pictures share their part of the space: {figures}.")
    elif found.calibrated:
        yield Finding(
            "gap",
            True,
            f"There is a gap between texts and pictures that the calibration leaves: {figures}.",
            _remedy(
                found.choices,
                "Calibrate anew (unisem calibrate SPACE): what the space holds has moved since, or "
                "the sample was small.",
            ),
        )
    else:
        yield Finding(
            "gap",
            True,
            f"Texts lie here, pictures there, whatever they show: {figures}.",
            _CALIBRATE,
        )


def _share(places: Places, choices: Choices | None) -> Iterator[Finding]:
    if places.queries < _ENOUGH:
        return
    yield from _share_of_records(places, choices)
    if _SOME <= places.texts_present <= 1 - _SOME and not _ALONE <= places.by_text <= 1 - _ALONE:
        through, other = ("texts", "pictures") if places.by_text > 0.5 else ("pictures", "texts")
        won = max(places.by_text, 1 - places.by_text)
        yield Finding(
            "share",
            True,
            f"Asked with {places.asked}, {_pct(won)} of the first ten places are won by vectors of "
            f"{through}: what {other} say does not count.",
            _remedy(choices, _TRAIN),
        )


def _remedy(choices: Choices | None, calibrated: str) -> str:
    """What to do; a calibration that changes nothing says why."""
    if choices is None:
        return _CALIBRATE
    if choices.centred:
        return calibrated
    return (
        "The calibration of this space changes nothing, as nothing that it does found surely more "
        f"of the {choices.queries:,} answers that captions tell it of. Caption more pictures with "
        'what they show and calibrate anew; until then ask with modality="image" or '
        'modality="text".'
    )


def _share_of_records(places: Places, choices: Choices | None) -> Iterator[Finding]:
    found, fair = places.hubness.found, places.fair
    if len(found) < 2:
        return
    name = max(found, key=lambda form: found[form] - fair[form])
    least = min(found, key=lambda form: found[form] - fair[form])
    of = "what is relevant" if places.relevant is not None else "the space"
    if max(found[name] - fair[name], fair[least] - found[least]) < _UNFAIR:
        yield Finding("share", False, f"Asked with {places.asked}, no kind of record wins.")
        return
    yield Finding(
        "share",
        True,
        f"Asked with {places.asked}, {_PLURAL[name]} have {_pct(found[name])} of the first ten "
        f"places and {_pct(fair[name])} of {of}; {_PLURAL[least]} have {_pct(found[least])} and "
        f"{_pct(fair[least])}.",
        _remedy(choices, _TRAIN),
    )


def _hubs(found: Diagnosis) -> Iterator[Finding]:
    told = [places for places in found.places if places.queries >= _ENOUGH]
    worst = max(told, key=lambda one: one.hubness.largest, default=None)
    if worst is None:
        return
    hubness = worst.hubness
    figures = (
        f"asked with {worst.asked}, the largest hub stands in {_pct(hubness.largest)} of answers "
        f"({_pct(worst.chance)} by chance), Gini {hubness.gini:.2f}, "
        f"skewness {hubness.skewness:.1f}"
    )
    if hubness.largest > _HUB and hubness.largest > _OFTEN * worst.chance:
        yield Finding(
            "hubs",
            True,
            f"A few records answer everything: {figures}.",
            "Look at them below. Delete what is empty or broken, give a bare picture a caption, "
            "index copies once; "
            + (
                "then calibrate anew."
                if found.calibrated
                else "what remains, a calibration takes off by its hub bias."
            ),
        )
    else:
        yield Finding("hubs", False, f"No record answers everything: {figures}.")


def _scores(found: Diagnosis) -> Iterator[Finding]:
    for asked in DOCUMENT_KINDS:
        pair = {one.kind: one for one in found.scores if one.asked == asked}
        if len(pair) < 2:
            continue
        shift = _shift(pair["text"], pair["image"])
        what = "texts" if asked == "text" else "pictures"
        if abs(shift) < _SHIFT:
            yield Finding("scores", False, f"Asked with {what}, both kinds score alike.")
            continue
        higher, lower = ("texts", "pictures") if shift > 0 else ("pictures", "texts")
        yield Finding(
            "scores",
            True,
            f"Asked with {what}, the nearest wrong {higher} score {abs(shift):.1f} deviations "
            f"above the nearest wrong {lower}, so that one min_score cannot suit both.",
            _remedy(found.choices, _on_one_scale(found.choices, asked)),
        )


def _on_one_scale(choices: Choices | None, asked: DocumentKind) -> str:
    if choices is None or asked in choices.scaled:
        return "Calibrate anew, on what the space holds now."
    return (
        "The calibration leaves them so, because one scale for both found no more of the answers "
        "that captions tell it of. Cut by min_relevance, which looks at each kind by itself, or "
        'ask with modality="image" or modality="text".'
    )


def _shift(texts: Scores, images: Scores) -> float:
    spread: float = ((texts.near_deviation**2 + images.near_deviation**2) / 2) ** 0.5
    return float((texts.near_mean - images.near_mean) / max(spread, 1e-9))


def _cycle(found: Diagnosis) -> Iterator[Finding]:
    if found.cycle is None:
        return
    text = (
        f"Of {found.cycle.queries:,} captions {_pct(found.cycle.there)} find their own picture "
        f"first among pictures, and {_pct(found.cycle.back)} come back from the picture that they "
        "find to what they say."
    )
    weak = found.cycle.back < 0.5
    yield Finding(
        "cycle",
        weak,
        text,
        "Captions and pictures do not mean the same to this encoder: take a stronger one, or train "
        "it on your pairs (unisem train); clean captions that do not say what is seen."
        if weak
        else "",
    )


def _robustness(found: Diagnosis) -> Iterator[Finding]:
    before = {one.asked: one for one in found.changes if one.change == "unchanged"}
    remedies = {
        "before another background": "Cut pictures to what they show before you index and ask.",
        "cropped": "Index details as pictures of their own, beside the whole.",
        "blurred": "Ask with sharper or larger pictures, or train with blurred copies.",
        "wordy": "Have a chat model shorten what users type to what they look for.",
        "cut to keywords": 'Ask in whole phrases, or add the words themselves with mode="hybrid".',
    }
    lost = [
        (one, cost)
        for one in found.changes
        if (cost := before[one.asked].ten - one.ten) > _LOST and one.change in remedies
    ]
    for one, cost in lost:
        yield Finding("robustness", True, _lost(one, before[one.asked], cost), remedies[one.change])
    if {"text", "image"} <= before.keys() and not lost:
        yield Finding(
            "robustness",
            False,
            "Other words, backgrounds, crops and blur cost few of the right answers.",
        )


def _paraphrases(found: Diagnosis) -> Iterator[Finding]:
    for one in found.paraphrases:
        text = (
            f"Of {one.wishes:,} wishes that were asked by {one.asked} in several ways, two ways "
            f"share {_pct(one.overlap)} of the first ten (± {_pct(one.deviation)} between wishes), "
            f"and the first hit in {_pct(one.first)} of cases."
        )
        if one.overlap >= _STEADY:
            yield Finding("paraphrases", False, text)
            continue
        remedy = (
            f"Least alike are the answers to {one.worst[0].name!r}. Ask in one way, as with a chat "
            "model that rewrites queries, or with the mean of several; a reranker orders what they "
            "find by one measure."
        )
        yield Finding("paraphrases", True, text, remedy)


def _modalities(found: Diagnosis) -> Iterator[Finding]:
    for one in found.modalities:
        what = "texts" if one.modality == "text" else "pictures"
        text = (
            f"{one.queries:,} of your queries ask for {what}: {_pct(one.ten)} of their first ten "
            f"are {what}, and {_pct(one.first)} of their first hits; {_pct(one.present)} of the "
            "space are."
        )
        if one.ten >= _WANTED:
            yield Finding("modality", False, text)
            continue
        remedy = (
            f'Ask with modality="{one.modality}", without the words that say so: an encoder does '
            "not know that they speak of the records."
        )
        yield Finding("modality", True, text, remedy)


def _lost(one: Change, before: Change, cost: float) -> str:
    what = "Queries" if one.asked == "text" else "Pictures"
    return (
        f"{what}, {one.change}, "
        f"find their own record among the first ten in {_pct(one.ten)} of cases, "
        f"{_pct(before.ten)} unchanged; {_pct(cost)} are lost."
    )


def _pct(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
