"""What matching and writing learn by, as functions of scores.

A row of scores is a picture with several texts, or a text with several pictures: what belongs
together first, then wrong candidates. Candidates that are not there, or may be right as well, are
masked: they count for nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unisem.rerank.cross_modal.tokenizer import PAD


def contrastive_loss(scores: Tensor, usable: Tensor) -> Tensor:
    r"""The true one among its candidates.

    .. math:: L = -\frac{1}{n} \sum_i \log \frac{\exp s_{i0}}{\sum_{j \in U(i)} \exp s_{ij}}

    InfoNCE (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748) with the scores of a joint
    network in place of cosines: what counts is that the true one is above the others, not what the
    scores are.

    Args:
        scores: ``(n, c)`` float, the true one first.
        usable: ``(n, c)`` bool, true at 0.

    Returns:
        ``()``.
    """
    target = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
    return functional.cross_entropy(scores.masked_fill(~usable, -torch.inf), target)


def itm_losses(scores: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
    """Image-text matching: yes to the true one, no to each candidate.

    Binary cross entropy on hard negatives (Li et al. 2021, "Align before Fuse",
    https://arxiv.org/abs/2107.07651, section 3.2), in two parts that are to weigh the same.

    Args:
        scores: ``(n, c)`` float logits, the true one first.
        usable: ``(n, c)`` bool, true at 0.

    Returns:
        ``()`` the mean over the true ones, and ``()`` that over the candidates.
    """
    wrong = usable[:, 1:]
    yes = functional.softplus(-scores[:, 0]).mean()
    no = (functional.softplus(scores[:, 1:]) * wrong).sum() / wrong.sum().clamp(min=1)
    return yes, no


def infonce_loss(scores: Tensor, same: Tensor, wrong: Tensor) -> Tensor:
    """`contrastive_loss` over a group of pairs, from pictures to texts and back.

    Args:
        scores: ``(n, n + w)`` float: picture i with text j of the group, then with its own wrong
            captions.
        same: ``(n, n)`` bool: they may belong together; on the diagonal they do.
        wrong: ``(n, w)`` bool: which of the wrong captions are there.

    Returns:
        ``()``, the mean of both directions.
    """
    n = len(scores)
    target = torch.arange(n, device=scores.device)
    masked = same & ~torch.eye(n, dtype=torch.bool, device=scores.device)
    open_scores = scores.masked_fill(torch.cat([masked, ~wrong], 1), -torch.inf)
    return (
        functional.cross_entropy(open_scores, target)
        + functional.cross_entropy(open_scores[:, :n].T, target)
    ) / 2


def caption_loss(logits: Tensor, words: Tensor) -> Tensor:
    """Mean cross entropy of the next word, padding left out.

    Args:
        logits: ``(n, l, v)`` float.
        words: ``(n, l)`` int64, what comes next; ``PAD`` behind the end.

    Returns:
        ``()``.
    """
    return functional.cross_entropy(logits.flatten(0, 1), words.flatten(), ignore_index=PAD)


def distillation_loss(scores: Tensor, taught: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the candidates' shares from those that a teacher gives them.

    Source: Hinton et al. 2015, https://arxiv.org/abs/1503.02531, over candidates instead of
    classes.

    Args:
        scores: ``(n, c)`` float.
        taught: ``(n, c)`` float, the teacher's scores of the same; NaN where it had none.

    Returns:
        ``()``.
    """
    known = taught.isfinite()
    wanted = taught.masked_fill(~known, -torch.inf).softmax(1)
    given = scores.masked_fill(~known, -torch.inf).log_softmax(1)
    terms = torch.where(known, wanted * (wanted.clamp(min=1e-12).log() - given), 0.0)
    return terms.sum(1).mean()
