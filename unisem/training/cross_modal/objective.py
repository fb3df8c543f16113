"""`Objective`: the loss of a batch of pairs, from matching, writing and a teacher."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unisem.pairs.dataset import Ids
from unisem.rerank.cross_modal.model import CrossModalTransformer
from unisem.rerank.cross_modal.tokenizer import CaptionTokenizer
from unisem.training.cross_modal.candidates import NONE, Candidates
from unisem.training.cross_modal.inputs import CrossModalInputs
from unisem.training.cross_modal.losses import (
    caption_loss,
    contrastive_loss,
    distillation_loss,
    infonce_loss,
    itm_loss,
)
from unisem.training.cross_modal.recipe import CrossModalRecipe

_MATCHING = {"contrastive": contrastive_loss, "itm": itm_loss}


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
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            return self._losses(batch, step)

    def _losses(self, batch: Ids, step: int) -> dict[str, Tensor]:
        recipe, inputs = self.recipe, self.inputs
        drawn = self.candidates.draw(batch, step)  # (b, c)
        if recipe.loss == "infonce":
            drawn = drawn[:, : 1 + self.candidates.hard]  # for a teacher alone
        rows = np.where(drawn == NONE, batch[:, None], drawn)
        pictures, where = np.unique(inputs.image_of[rows], return_inverse=True)
        if recipe.loss == "infonce" and self.taught is None:
            pictures, where = np.unique(inputs.image_of[batch], return_inverse=True)
        tokens = self.network.tokens(inputs.features(pictures))  # (u, t, w)
        seen = torch.from_numpy(where.reshape(len(batch), -1))  # (b, c) or (b, 1)
        own = tokens[seen[:, 0]]  # (b, t, w)
        found: dict[str, Tensor] = {}
        if recipe.loss == "infonce":
            found["matching"] = self._in_groups(batch, own)
        else:
            matching = _MATCHING[recipe.loss]
            parts = []
            if recipe.compared != "images":
                parts.append(matching(*self._other_texts(batch, drawn, own)))
            if recipe.compared != "texts":
                usable = torch.from_numpy(drawn != NONE)
                parts.append(matching(self._other_pictures(batch, tokens[seen]), usable))
            found["matching"] = torch.stack(parts).mean()
        if self.taught is not None:
            hard = 1 + self.candidates.hard
            scores = self._other_pictures(batch, tokens[seen[:, :hard]])
            found["distillation"] = recipe.distillation * distillation_loss(
                scores, self._teaching(batch, step)
            )
        if recipe.captioning:
            read, wanted = self.tokenizer.captions(
                [inputs.captions[position] for position in batch], recipe.length
            )
            logits = self.network.caption_logits(read, own)
            found["captioning"] = recipe.captioning * caption_loss(logits, wanted)
        return found

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
