"""`decoded`: captions of pictures' tokens, word by word, greedily or by several beams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.rerank.cross_modal.tokenizer import BEGIN, END, PAD, UNKNOWN

if TYPE_CHECKING:
    from torch import Tensor

    from unisem.rerank.cross_modal.model import CrossModalTransformer


def decoded(
    network: CrossModalTransformer, tokens: Tensor, *, beams: int, most: int
) -> list[list[int]]:
    """Write captions; keys and values of the words before are computed once.

    Of the ``beams`` likeliest beginnings each is gone on from, at every word; at last the one of
    the greatest mean logarithm of a word's probability is taken. One beam is greedy decoding.

    Args:
        network: With a captioning head, in evaluation mode.
        tokens: ``(b, t, w)`` float.
        beams: Texts that are followed at once.
        most: Words of a caption, the sign that ends it included.

    Returns:
        For each picture its words, up to the sign that ends a caption.
    """
    import torch

    count, width = len(tokens), network.settings.words
    most = min(most, network.settings.length)
    state = network.begin(tokens.repeat_interleave(beams, 0))
    words = torch.full((count * beams,), BEGIN)
    texts = torch.empty((count, beams, 0), dtype=torch.int64)
    scores = torch.full((count, beams), -torch.inf)
    scores[:, 0] = 0  # all beams begin alike
    over = torch.zeros((count, beams), dtype=torch.bool)
    lengths = torch.zeros((count, beams), dtype=torch.int64)
    first = torch.arange(count)[:, None] * beams  # (b, 1)
    for _ in range(most):
        logits, state = network.step(words, state)
        logits[:, [PAD, UNKNOWN, BEGIN]] = -torch.inf
        likely = logits.float().log_softmax(-1).view(count, beams, width)
        likely[over] = -torch.inf
        likely[..., PAD][over] = 0  # what is over stays as it is
        reached = (scores[..., None] + likely).flatten(1)  # (b, beams * width)
        scores, chosen = reached.topk(beams, 1)
        parents, words = chosen // width, chosen % width  # (b, beams)
        texts = torch.cat(
            [texts.gather(1, parents[..., None].expand_as(texts)), words[..., None]], 2
        )
        over, lengths = over.gather(1, parents), lengths.gather(1, parents)
        lengths = lengths + ~over
        over = over | (words == END)
        if over.all():
            break
        state = state.select((first + parents).flatten())
        words = words.flatten()
    best = (scores / lengths).argmax(1)
    found: list[list[int]] = texts[torch.arange(count), best].tolist()
    return [[word for word in text if word not in (PAD, END)] for text in found]
