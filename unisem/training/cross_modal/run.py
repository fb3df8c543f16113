"""`train_reranker`: an encoder and pairs in, a cross-modal Transformer's directory out.

Beside the output, ``<output>.training/`` holds what a run needs while it runs: ``features/``, what
the frozen towers gave, and ``checkpoints/``, which go when the run is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unisem.encoders import Encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import TrainingError
from unisem.pairs.dataset import Ids, PairDataset
from unisem.pairs.splits import leakage, split_pairs
from unisem.records import Record, Vector
from unisem.rerank.base import Reranker
from unisem.rerank.cross_modal.model import CrossModalSettings, CrossModalTransformer
from unisem.rerank.cross_modal.patch_features import PatchFeatures
from unisem.rerank.cross_modal.saving import CONFIG, KIND, CrossModalFiles
from unisem.rerank.cross_modal.tokenizer import CaptionTokenizer
from unisem.rerank.cross_modal.word_vectors import WordVectors
from unisem.training.cross_modal.candidates import Candidates
from unisem.training.cross_modal.comparison import compare_rankings
from unisem.training.cross_modal.fitting import fit_network
from unisem.training.cross_modal.inputs import CrossModalInputs, prepare_inputs
from unisem.training.cross_modal.objective import Objective
from unisem.training.cross_modal.recipe import CrossModalRecipe
from unisem.training.cross_modal.report import Reranked, RerankerReport
from unisem.training.inputs.mining import mine_hard_negatives, store_of_images
from unisem.training.inputs.preparing import prepare_pairs, stored_depths
from unisem.training.loop.environment import (
    first_process_first,
    from_first_process,
    in_silence,
    is_first_process,
    join_processes,
)
from unisem.training.loop.evaluator import embed
from unisem.training.model.modality_parts import default_parts, freeze, training_view
from unisem.training.run import checked_pairs, pairs_digest, refuse_untrainable, trainable_encoder

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_CPU = torch.device("cpu")  # where the network is

Scores = NDArray[np.float32]


def train_reranker(
    encoder: str | Encoder,
    train: PairDataset,
    output: str | os.PathLike[str],
    *,
    held_out: PairDataset | None = None,
    wrong_captions: Sequence[Sequence[str]] | None = None,
    miner: str | Encoder | None = None,
    teacher: Reranker | None = None,
    recipe: CrossModalRecipe | None = None,
    resume: bool = False,
    features: str | os.PathLike[str] | None = None,
    progress: Progress = lambda what, done, total: None,
) -> RerankerReport:
    """Train a cross-modal Transformer on what an encoder's frozen towers give.

    Several processes, as `train_encoder` has them, share each step's batch.

    Args:
        encoder: Whose towers, as for `load_encoder`; a sentence-transformers model such as `mini`.
        train: Pairs to train on; checked first if that has not been done.
        output: The directory for the reranker.
        held_out: Pairs on which reranking the encoder's first hits is compared with the encoder.
        wrong_captions: For each pair of ``train``, captions that are wrong for its picture. Where
            another pair has one of them, InfoNCE compares the two pairs.
        miner: Finds hard negatives, where the encoder itself was trained on these pairs and would
            find none: another one, or the encoder as it was before.
        teacher: A larger reranker, with whose scores of hard negatives the network is to agree.
        recipe: How to train.
        resume: Go on from the newest checkpoint of a run with the same arguments, if there is one.
        features: Where what the towers give is stored; beside the output if ``None``.
        progress: Called as work goes on.

    Raises:
        EncoderError: The encoder does not load, or its towers cannot be looked into.
        TrainingError: The pairs cannot be trained on, the loss is no number, the disk is full …;
            the last checkpoint is intact.
        ValueError: ``wrong_captions`` are not one list a pair, or the sizes do not go together.
    """
    recipe = recipe or CrossModalRecipe()
    place = Path(output)
    check_reranker_output(place)
    work = place.with_name(f"{place.name}.training")
    cache = Path(features) if features is not None else work / "features"
    loaded = trainable_encoder(encoder)
    join_processes(_CPU)
    if not is_first_process():
        progress = in_silence
    given = len(train)
    train = checked_pairs(train, progress)
    if wrong_captions is not None and (len(wrong_captions) != given or len(train) != given):
        raise ValueError(
            f"wrong_captions are one list for each checked pair: {len(wrong_captions)} lists, "
            f"{len(train)} of {given} pairs are usable"
        )
    refuse_untrainable(train, None)
    common = None
    if held_out is not None:
        held_out = checked_pairs(held_out, progress)
        if not len(held_out):
            raise TrainingError("none of the held-out pairs can be used; check them, or pass None")
        common = leakage(train, held_out)
    wrong = wrong_captions
    validation: PairDataset | None = None
    wrong_validation: Sequence[Sequence[str]] | None = None
    if recipe.patience is not None:
        train, wrong, validation, wrong_validation = _split(train, wrong, recipe)
    tokenizer = CaptionTokenizer.learn(
        [*train.captions, *(text for row in wrong or () for text in row)], words=recipe.vocabulary
    )
    patches = PatchFeatures(loaded, side=recipe.side)
    tower = WordVectors(loaded) if recipe.words == "tower" else None
    total = sum(len(part) for part in (train, validation, held_out) if part is not None)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("looking at pictures", done, total)

    def prepared(
        part: PairDataset, others: Sequence[Sequence[str]] | None = None
    ) -> CrossModalInputs:
        with first_process_first(_CPU):
            return prepare_inputs(
                part, others, patches, tower, tokenizer, recipe.length, cache, advance=advance
            )

    inputs = prepared(train, wrong)
    finder = loaded if miner is None else trainable_encoder(miner)

    def negatives(part: PairDataset) -> Ids | None:
        return from_first_process(lambda: _mined(finder, part, recipe, cache), _CPU)

    mined = negatives(train)
    torch.manual_seed(recipe.seed)
    network = CrossModalTransformer(_settings(recipe, patches, tower, tokenizer))
    objective = Objective(
        network,
        inputs,
        _candidates(inputs, mined, recipe),
        tokenizer,
        recipe,
        None
        if teacher is None or mined is None
        else from_first_process(lambda: _taught(teacher, train, mined, progress), _CPU),
    )
    held_back = None
    if validation is not None:
        judged = prepared(validation, wrong_validation)
        hard = negatives(validation)
        held_back = Objective(network, judged, _candidates(judged, hard, recipe), tokenizer, recipe)
    fitted = fit_network(
        objective,
        recipe,
        {
            "image tower": patches.fingerprint,
            "text tower": None if tower is None else tower.fingerprint,
            "pairs": pairs_digest(train),
            "wrong captions": hashlib.sha256(json.dumps(wrong).encode()).hexdigest(),
            "vocabulary": hashlib.sha256(tokenizer.text.encode()).hexdigest(),
            "hard negatives": None
            if mined is None
            else hashlib.sha256(np.ascontiguousarray(mined).tobytes()).hexdigest(),
            "teacher": None if teacher is None else teacher.name,
        },
        work / "checkpoints",
        validation=held_back,
        resume=resume,
        progress=progress,
    )
    network.eval()
    reranked = None
    if held_out is not None:
        judged_by, asked = prepared(held_out), held_out

        def compared() -> Reranked:
            captions, images = encoded_pairs(loaded, asked, cache)
            return compare_rankings(network, judged_by, captions, images, recipe.depth)

        reranked = from_first_process(compared, _CPU)
    files = CrossModalFiles(
        network,
        tokenizer,
        loaded.name,
        patches.fingerprint,
        None if tower is None else tower.fingerprint,
    )
    with first_process_first(_CPU) as first:
        if first:
            files.write(place)
            shutil.rmtree(work / "checkpoints", ignore_errors=True)
    return RerankerReport(
        place,
        sum(parameter.numel() for parameter in network.parameters()),
        network.settings.bytes_per_picture,
        fitted.steps,
        fitted.losses,
        fitted.validation,
        fitted.seconds,
        reranked,
        common,
    )


def check_reranker_output(output: Path) -> None:
    """Refuse to train into a directory that holds something else.

    Raises:
        TrainingError: It exists, is not empty, and is no cross-modal Transformer's.
    """
    if output.exists() and not output.is_dir():
        raise TrainingError(f"{output} is a file; name a directory for the reranker")
    if output.is_dir() and any(output.iterdir()):
        config = output / CONFIG
        if not config.is_file() or KIND not in config.read_text(encoding="utf-8", errors="replace"):
            raise TrainingError(
                f"{output} holds something that no training of a reranker wrote; name another "
                "directory"
            )


def _settings(
    recipe: CrossModalRecipe,
    patches: PatchFeatures,
    tower: WordVectors | None,
    tokenizer: CaptionTokenizer,
) -> CrossModalSettings:
    return CrossModalSettings(
        feature_width=patches.width,
        side=recipe.side,
        words=len(tokenizer),
        text_width=None if tower is None else tower.width,
        fusion=recipe.fusion,
        width=recipe.width,
        heads=recipe.heads,
        layers=recipe.layers,
        caption_layers=recipe.caption_layers if recipe.captioning else 0,
        picture_tokens=recipe.picture_tokens or recipe.side**2,
        token_width=recipe.token_width,
        length=recipe.length,
        dropout=recipe.dropout,
    )


def _candidates(
    inputs: CrossModalInputs, mined: Ids | None, recipe: CrossModalRecipe
) -> Candidates:
    return Candidates(
        inputs.image_ids,
        inputs.caption_ids,
        mined,
        0 if mined is None else recipe.hard_negatives,
        recipe.drawn,
        recipe.seed,
        inputs.stated,
    )


def _split(
    train: PairDataset, wrong: Sequence[Sequence[str]] | None, recipe: CrossModalRecipe
) -> tuple[
    PairDataset, Sequence[Sequence[str]] | None, PairDataset, Sequence[Sequence[str]] | None
]:
    parts = split_pairs(train, held_out=recipe.validation, seed=recipe.seed)
    if wrong is None:
        return parts.train, None, parts.held_out, None
    row = {id(pair): number for number, pair in enumerate(train)}
    first, second = (
        [wrong[row[id(pair)]] for pair in part] for part in (parts.train, parts.held_out)
    )
    return parts.train, first, parts.held_out, second


def encoded_pairs(
    encoder: SentenceTransformerEncoder, dataset: PairDataset, cache: Path
) -> tuple[Vector, Vector]:
    """The encoder's vectors of each pair's caption, and of the distinct pictures."""
    freeze(encoder.model, default_parts(encoder.model))
    depths = stored_depths(encoder, augmented=False)
    pairs = prepare_pairs(encoder, dataset, depths, cache)
    view = training_view(encoder.model, depths)
    _, first = np.unique(pairs.documents, return_index=True)
    return (
        embed(view, pairs.inputs, pairs.queries),
        embed(view, pairs.inputs, pairs.documents[first]),
    )


def _mined(
    encoder: SentenceTransformerEncoder, dataset: PairDataset, recipe: CrossModalRecipe, cache: Path
) -> Ids | None:
    if not recipe.hard_negatives:
        return None
    captions, images = encoded_pairs(encoder, dataset, cache)
    _, image_of = np.unique(dataset.document_ids, return_inverse=True)
    return mine_hard_negatives(
        store_of_images(dataset, image_of.astype(np.int64), images),
        dataset,
        captions,
        count=recipe.mined,
        depth=4 * recipe.mined,
        seed=recipe.seed,
    )


def _taught(teacher: Reranker, dataset: PairDataset, mined: Ids, progress: Progress) -> Scores:
    """A teacher's scores of every caption with its own picture and those of its negatives."""
    taught = np.empty((len(dataset), 1 + mined.shape[1]), np.float32)
    for position, pair in enumerate(dataset):
        shown = [position, *mined[position].tolist()]
        records = [Record(id=str(place), image=dataset[place].image) for place in shown]
        taught[position] = teacher.score(pair.caption, None, records)
        progress("asking the teacher", position + 1, len(dataset))
    return taught
