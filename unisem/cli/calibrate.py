"""``unisem calibrate``: make scores of a space's texts and pictures comparable."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unisem.cli.options import AsJson, Space
from unisem.cli.progress import progress_bar
from unisem.cli.search import open_existing
from unisem.cli.terminal import note, print_json, results

if TYPE_CHECKING:
    from unisem.calibration import Calibration
    from unisem.space import SemanticSpace

_NAMES = {"text": "text", "image": "picture", "both": "both"}
_COUNTED = {"text": "texts", "image": "pictures", "both": "of both together"}


def calibrate(
    space: Space,
    off: Annotated[bool, typer.Option("--off", help="Search by raw cosines again.")] = False,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Decides which of many records are looked at.")
    ] = 0,
    reranker: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Calibrate this reranker instead, by --queries; kept beside its files.",
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Held-out queries with the ids of what is relevant: .jsonl, .csv or .tsv.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a calibration to what a space holds, and search by it from now on."""
    if (reranker is None) != (queries is None) or (off and reranker is not None):
        raise typer.BadParameter("--reranker and --queries go together, and with nothing else")
    with open_existing(space) as opened:
        if reranker is not None and queries is not None:
            _calibrate_reranker(opened, reranker, queries)
            return
        if off:
            opened.use_calibration(None)
            note("scores are raw cosines")
            return
        with progress_bar("reading records") as advance:
            fitted = opened.calibrate(seed=seed, progress=advance)
    if as_json:
        print_json(_as_json(fitted))
        return
    for line in described(fitted):
        results().print(line, soft_wrap=True)


def _calibrate_reranker(space: SemanticSpace, directory: Path, queries: Path) -> None:
    from unisem.evaluation import calibrate_reranker, read_queries
    from unisem.rerank import load_reranker

    reranker = load_reranker(directory, encoder=space.encoder)
    with progress_bar("judging") as advance:
        fitted = calibrate_reranker(space, reranker, read_queries(queries), progress=advance)
    note(f"wrote {fitted.save(directory)}")
    results().print(
        f"log-odds: {fitted.judged:.3g} for each unit of the reranker's score, {fitted.own:.3g} "
        f"for each standard deviation of a list's cosines, {fitted.offset:.3g} at 0 and their mean",
        soft_wrap=True,
    )


def _as_json(calibration: Calibration) -> dict[str, object]:
    pairs = {" to ".join(kinds): asdict(it) for kinds, it in calibration.pairs.items()}
    counts = {kind: side.count for kind, side in calibration.documents_of.items()}
    return {"fitted_to": counts, "choices": asdict(calibration.choices), "pairs": pairs}


def described(calibration: Calibration) -> list[str]:
    """What was chosen, and on what."""
    choices = calibration.choices
    if not choices.centred:
        chosen = "nothing: scores stay cosines, as no step surely helps here"
    else:
        asked = ", ".join(choices.scaled) or "none"
        biased = ", ".join(
            f"{query} to {found}" for (query, found), it in calibration.pairs.items() if it.alpha
        )
        chosen = f"centred; one scale for queries of: {asked}; hub bias from: {biased or 'none'}"
    counts = ", ".join(
        f"{side.count:,} {_COUNTED[kind]}" for kind, side in calibration.documents_of.items()
    )
    lines = [f"fitted to {counts}", f"chosen: {chosen}"]
    if choices.before is not None and choices.after is not None:
        lines.append(
            f"nDCG@10 of {choices.queries:,} held-out queries: {choices.before:.3f} raw, "
            f"{choices.after:.3f} as chosen"
        )
    else:
        lines.append("nothing told what helps: no picture has a caption")
    lines.append(_told(calibration))
    return lines


def _told(calibration: Calibration) -> str:
    """For which kinds of queries and vectors there are probabilities, and what told them."""
    names = {"pairs": "pairs", "few words": "few words of texts", "other pair": "other pairs"}
    told: dict[str, list[str]] = {name: [] for name in names}
    for pair, choice in calibration.pairs.items():
        if choice.slope is not None and choice.evidence is not None:
            told[choice.evidence].append(" to ".join(_NAMES[kind] for kind in pair))
    parts = [f"by {names[by]} for {', '.join(pairs)}" for by, pairs in told.items() if pairs]
    if not parts:
        return "probabilities of relevance are not known, and --min-relevance is refused"
    return f"probabilities of relevance told {'; '.join(parts)}"
