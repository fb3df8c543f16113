"""`Objective`: the loss of a batch of pairs, from matching, writing and a teacher.

A loss is a sum of `Term`, each a mean: so that processes can each compute the terms of their part
of a batch, and weigh them by how many numbers went into them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unisem.pairs.dataset import Ids
from unisem.rerank.cross_modal.model import CrossModalTransformer
from unisem.rerank.cross_modal.tokenizer import PAD, CaptionTokenizer
from unisem.training.cross_modal.candidates import NONE, Candidates
from unisem.training.cross_modal.inputs import CrossModalInputs
from unisem.training.cross_modal.losses import (
    caption_loss,
    contrastive_loss,
    distillation_loss,
    infonce_loss,
    itm_losses,
)
from unisem.training.cross_modal.recipe import CrossModalRecipe


@dataclass(frozen=True, slots=True)
class Term:
    """A part of the loss.

    Attributes:
        name: What it is part of.
        mean: ``()``.
        count: Over how many numbers.
        weight: Of the mean in the loss.
    """

    name: str
    mean: Tensor
    count: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The loss of a batch.

    Attributes:
        network: What is trained.
        inputs: The pairs.
        candidates: Draws what each is compared with.
        tokenizer: For the captions that are to be written.
        recipe: Which losses, and their weights.
        taught: ``(n, 1 + m)`` float32, a teacher's scores of each caption with its own picture and
            with those of its mined negatives; ``None`` without a teacher.
    """

    network: CrossModalTransformer
    inputs: CrossModalInputs
    candidates: Candidates
    tokenizer: CaptionTokenizer
    recipe: CrossModalRecipe
    taught: np.ndarray[tuple[int, int], np.dtype[np.float32]] | None = None

    def order(self, epoch: int) -> Ids:
        """Pairs in the order of an epoch, ``(n,)``; see `Candidates.order`."""
        return self.candidates.order(
            epoch, self.recipe.group if self.recipe.loss == "infonce" else 1
        )

    def losses(self, batch: Ids, step: int) -> dict[str, Tensor]:
        """What is to become smaller, by name; the loss is the sum.

        Args:
            batch: ``(b,)`` positions of pairs.
            step: Number of the step, which decides the candidates.
        """
        found: dict[str, Tensor] = {}
        for term in self.terms(batch, step):
            value = term.weight * term.mean
            found[term.name] = found[term.name] + value if term.name in found else value
        return found

    def terms(self, batch: Ids, step: int, mine: slice = slice(None)) -> list[Term]:
        """The terms of a part of a batch, whose candidates are those of the whole batch.

        Args:
            batch: As for `losses`.
            step: As for `losses`.
            mine: The part; with infonce it begins and ends with a group.
        """
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            return self._terms(batch, step, mine)

    def parts(self, batch: Ids, processes: int) -> list[slice]:
        """A batch in parts that are as equal as groups allow; some are empty where it is small."""
        size = self.recipe.group if self.recipe.loss == "infonce" else 1
        groups = np.array_split(np.arange(math.ceil(len(batch) / size)), processes)
        ends = (size * np.cumsum([0, *map(len, groups)])).clip(max=len(batch)).tolist()
        return [slice(*ends[number : number + 2]) for number in range(processes)]

    def _terms(self, batch: Ids, step: int, mine: slice) -> list[Term]:
        recipe, inputs = self.recipe, self.inputs
        drawn = self.candidates.draw(batch, step)[mine]  # (b, c)
        batch = batch[mine]
        if recipe.loss == "infonce":
            drawn = drawn[:, : 1 + self.candidates.hard]  # for a teacher alone
        rows = np.where(drawn == NONE, batch[:, None], drawn)
        pictures, where = np.unique(inputs.image_of[rows], return_inverse=True)
        if recipe.loss == "infonce" and self.taught is None:
            pictures, where = np.unique(inputs.image_of[batch], return_inverse=True)
        tokens = self.network.tokens(inputs.features(pictures))  # (u, t, w)
        seen = torch.from_numpy(where.reshape(len(batch), -1))  # (b, c) or (b, 1)
        own = tokens[seen[:, 0]]  # (b, t, w)
        found: list[Term] = []
        if recipe.loss == "infonce":
            found.append(Term("matching", self._in_groups(batch, own), len(batch)))
        else:
            half = 0.5 if recipe.compared in (None, "both") else 1.0
            if recipe.compared != "images":
                found += self._matching(*self._other_texts(batch, drawn, own), half)
            if recipe.compared != "texts":
                usable = torch.from_numpy(drawn != NONE)
                found += self._matching(self._other_pictures(batch, tokens[seen]), usable, half)
        if self.taught is not None:
            hard = 1 + self.candidates.hard
            scores = self._other_pictures(batch, tokens[seen[:, :hard]])
            agreed = distillation_loss(scores, self._teaching(batch, step))
            found.append(Term("distillation", agreed, len(batch), recipe.distillation))
        if recipe.captioning:
            read, wanted = self.tokenizer.captions(
                [inputs.captions[position] for position in batch], recipe.length
            )
            written = caption_loss(self.network.caption_logits(read, own), wanted)
            found.append(Term("captioning", written, int((wanted != PAD).sum()), recipe.captioning))
        return found

    def _matching(self, scores: Tensor, usable: Tensor, weight: float) -> list[Term]:
        """The terms of scores ``(b, c)``, the true one first."""
        if self.recipe.loss == "contrastive":
            return [Term("matching", contrastive_loss(scores, usable), len(scores), weight)]
        yes, no = itm_losses(scores, usable)
        return [
            Term("matching", yes, len(scores), weight / 2),
            Term("matching", no, int(usable[:, 1:].sum()), weight / 2),
        ]

    def _other_texts(self, batch: Ids, drawn: Ids, own: Tensor) -> tuple[Tensor, Tensor]:
        """Scores ``(b, c + g)`` of each picture with its caption and wrong ones."""
        texts = np.where(drawn == NONE, NONE, self.inputs.text_of[drawn])
        texts = np.concatenate([texts, self.inputs.wrong[batch]], 1)
        words, present = self.inputs.texts.padded(texts)
        return self.network.match(words, present, own), torch.from_numpy(texts != NONE)

    def _other_pictures(self, batch: Ids, tokens: Tensor) -> Tensor:
        """Scores ``(b, c)`` of each caption with its picture and wrong ones, ``(b, c, t, w)``."""
        b, c = tokens.shape[:2]
        words, present = self.inputs.texts.padded(np.repeat(self.inputs.text_of[batch], c)[:, None])
        return self.network.match(words, present, tokens.flatten(0, 1)).view(b, c)

    def _in_groups(self, batch: Ids, own: Tensor) -> Tensor:
        """InfoNCE within each group of the batch."""
        size, total = self.recipe.group, own.new_zeros(())
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            total = total + len(part) * self._group(part, own[start : start + size])
        return total / len(batch)

    def _group(self, part: Ids, own: Tensor) -> Tensor:
        inputs = self.inputs
        texts, wrong = inputs.text_of[part][None], inputs.wrong[part]  # (1, n), (n, w)
        wrong = np.where(np.isin(wrong, texts), NONE, wrong)  # judged with the group's own
        wrong = wrong[:, (wrong != NONE).any(0)]
        if wrong.shape[1]:
            texts = np.concatenate([texts.repeat(len(part), 0), wrong], 1)
        words, present = inputs.texts.padded(texts)  # read once where all pictures have the same
        same = np.stack([~self.candidates.wrong(int(position), part) for position in part])
        scores = self.network.match(words, present, own)  # (n, n + w)
        return infonce_loss(scores, torch.from_numpy(same), torch.from_numpy(wrong != NONE))

    def _teaching(self, batch: Ids, step: int) -> Tensor:
        assert self.taught is not None
        rows = [
            np.concatenate([[0], 1 + self.candidates.slots(int(position), step)])
            for position in batch
        ]
        return torch.from_numpy(self.taught[batch[:, None], np.stack(rows)])
