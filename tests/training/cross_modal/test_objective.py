"""InfoNCE in groups against the same sum, one picture and one text at a time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch

from unisem.pairs.dataset import Ids
from unisem.rerank.cross_modal.model import CrossModalSettings, CrossModalTransformer
from unisem.rerank.cross_modal.tokenizer import CaptionTokenizer
from unisem.training.cross_modal import CrossModalRecipe
from unisem.training.cross_modal.candidates import NONE, Candidates
from unisem.training.cross_modal.inputs import CrossModalInputs, ReadTexts
from unisem.training.cross_modal.objective import Objective


class Shown(NamedTuple):
    """A pair: its picture, its caption, and captions that are wrong for the picture."""

    picture: int
    caption: str
    wrong: tuple[str, ...] = ()


PAIRS = (
    Shown(0, "red above blue", ("blue above red", "red below blue")),
    Shown(1, "blue above red", ("red above blue",)),  # the swap of the first, a pair itself
    Shown(0, "blue below red", ("blue above red",)),  # the first picture, in other words
    Shown(2, "two red stars"),
    Shown(3, "red above blue", ("blue above red", "two red stars")),  # the first caption again
    Shown(4, "three red stars", ("two red stars", "four red stars", "three blue stars")),
    Shown(5, "a star"),
    Shown(6, "a long text about a blue star", ("a star",)),
    Shown(7, "red", ("blue",)),
    Shown(8, "blue", ("red", "four red stars")),
)


def objective(group: int) -> Objective:
    """Over `PAIRS`, with a network of random weights."""
    torch.manual_seed(3)
    said = [text for pair in PAIRS for text in (pair.caption, *pair.wrong)]
    tokenizer = CaptionTokenizer.learn(said, words=200)
    texts = ReadTexts(said, tokenizer, None, 12)
    most = max(len(pair.wrong) for pair in PAIRS)
    wrong = np.full((len(PAIRS), most), NONE, np.int64)
    for row, pair in zip(wrong, PAIRS, strict=True):
        row[: len(pair.wrong)] = [texts.number[text] for text in pair.wrong]
    images = np.array([pair.picture for pair in PAIRS])
    captions = [pair.caption for pair in PAIRS]
    maps = np.random.default_rng(3).normal(size=(images.max() + 1, 4, 6)).astype(np.float16)
    text_of = np.array([texts.number[text] for text in captions])
    inputs = CrossModalInputs(tuple(captions), maps, images, images, text_of, texts, text_of, wrong)
    network = CrossModalTransformer(
        CrossModalSettings(
            feature_width=6, side=2, words=len(tokenizer), width=16, heads=2, layers=2,
            caption_layers=0, picture_tokens=4, token_width=8, length=12,
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        network.verdict_head[1].weight.mul_(20)  # type: ignore[index]  # scores that differ
    recipe = CrossModalRecipe(
        loss="infonce", group=group, batch_size=4 * group, captioning=0, hard_negatives=0
    )
    candidates = Candidates(images, text_of, None, 0, 0, 0, inputs.stated)
    return Objective(network, inputs, candidates, tokenizer, recipe)


def judged(it: Objective, picture: int, text: str) -> float:
    """The score of one picture with one text."""
    words, present = it.inputs.texts.padded(np.array([[it.inputs.texts.number[text]]]))
    tokens = it.network.tokens(it.inputs.features(np.array([picture])))
    return it.network.match(words, present, tokens).item()


def matching_by_hand(it: Objective, batch: Ids) -> float:
    """InfoNCE of a batch from what the pairs say, without a matrix or a mask."""
    group, total = it.recipe.group, 0.0
    for start in range(0, len(batch), group):
        together = [PAIRS[position] for position in batch[start : start + group]]
        for one in together:
            others = [
                other
                for other in together
                if other.picture != one.picture and other.caption != one.caption
            ]
            own = judged(it, one.picture, one.caption)
            apart = [other.caption for other in others]
            held = {pair.caption for pair in together}  # judged as captions of the group, once
            apart += [text for text in one.wrong if text not in held]
            texts = [own, *(judged(it, one.picture, text) for text in apart)]
            pictures = [own, *(judged(it, other.picture, one.caption) for other in others)]
            for scores in (texts, pictures):
                total -= own - math.log(sum(map(math.exp, scores)))
    return total / (2 * len(batch))


@pytest.mark.parametrize("group", [2, 4, 8])
@pytest.mark.parametrize("seed", range(4))
def test_groups_learn_from_every_wrong_text_and_picture_once(group: int, seed: int) -> None:
    """The last group may be smaller, down to a pair that has only its own wrong captions."""
    it = objective(group)
    order = np.arange(len(PAIRS)) if not seed else np.random.default_rng(seed).permutation(10)
    for batch in (order, order[:9]):
        with torch.no_grad():
            found = it.losses(batch, 0)
        assert found.keys() == {"matching"}
        expected = matching_by_hand(it, batch)
        assert expected > 0.1
        assert float(found["matching"]) == pytest.approx(expected, rel=1e-4)
