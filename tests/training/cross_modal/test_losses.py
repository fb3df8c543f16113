"""Losses against their formulas, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from unisem.rerank.cross_modal.tokenizer import PAD
from unisem.training.cross_modal.losses import (
    caption_loss,
    contrastive_loss,
    distillation_loss,
    infonce_loss,
    itm_losses,
)

SCORES = np.array([[1.0, 0.5, -2.0, 9.0], [0.2, 3.0, 0.1, 0.0]])
USABLE = np.array([[1, 1, 1, 0], [1, 1, 0, 1]], bool)


def tensors() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(SCORES), torch.from_numpy(USABLE)


def test_contrastive() -> None:
    expected = 0.0
    for row, usable in zip(SCORES, USABLE, strict=True):
        total = sum(math.exp(score) for score, there in zip(row, usable, strict=True) if there)
        expected -= math.log(math.exp(row[0]) / total) / 2
    assert float(contrastive_loss(*tensors())) == pytest.approx(expected)


def test_itm() -> None:
    yes = [-math.log(1 / (1 + math.exp(-row[0]))) for row in SCORES]
    no = [
        -math.log(1 - 1 / (1 + math.exp(-score)))
        for row, usable in zip(SCORES, USABLE, strict=True)
        for score, there in zip(row[1:], usable[1:], strict=True)
        if there
    ]
    expected = [sum(yes) / len(yes), sum(no) / len(no)]
    assert [float(part) for part in itm_losses(*tensors())] == pytest.approx(expected)


def test_infonce_masks_what_may_belong_together_and_adds_wrong_captions() -> None:
    rng = np.random.default_rng(0)
    scores, same = rng.normal(size=(3, 5)), np.eye(3, dtype=bool)
    same[0, 2] = same[2, 0] = True
    wrong = np.array([[True, True], [False, True], [False, False]])
    expected = 0.0
    for i in range(3):
        texts = [scores[i, j] for j in range(3) if j == i or not same[i, j]]
        texts += [scores[i, 3 + j] for j in range(2) if wrong[i, j]]
        pictures = [scores[j, i] for j in range(3) if j == i or not same[j, i]]
        for line in (texts, pictures):
            expected -= math.log(math.exp(scores[i, i]) / sum(map(math.exp, line))) / 6
    found = infonce_loss(torch.from_numpy(scores), torch.from_numpy(same), torch.from_numpy(wrong))
    assert float(found) == pytest.approx(expected)


def test_distillation_is_zero_for_the_teachers_shares_and_leaves_out_the_unknown() -> None:
    taught = torch.tensor([[1.0, 0.0, float("nan")], [0.0, 0.0, 2.0]])
    agreed = torch.tensor([[3.0, 2.0, 50.0], [1.0, 1.0, 3.0]])
    assert float(distillation_loss(agreed, taught)) == pytest.approx(0, abs=1e-6)
    scores = torch.tensor([[0.0, 1.0, 0.0]], requires_grad=True)
    loss = distillation_loss(scores, taught[:1])
    p = math.e / (math.e + 1)
    expected = p * (math.log(p) - math.log(1 - p)) + (1 - p) * (math.log(1 - p) - math.log(p))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_captions_count_words_and_no_padding() -> None:
    logits = torch.randn(2, 3, 7)
    words = torch.tensor([[4, 5, PAD], [6, PAD, PAD]])
    chosen = [logits[0, 0], logits[0, 1], logits[1, 0]]
    each = [
        functional.cross_entropy(row, target)
        for row, target in zip(chosen, words[words != PAD], strict=True)
    ]
    torch.testing.assert_close(caption_loss(logits, words), torch.stack(each).mean())
