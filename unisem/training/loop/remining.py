"""`Remining`: hard negatives that follow the weights, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from unisem.pairs.dataset import Ids
from unisem.training.inputs.collator import PairCollator

_NEGATIVES, _EPOCH = "remining.negatives", "remining.epoch"


class Remining(TrainerCallback):  # type: ignore[misc]
    """Mines hard negatives anew before every epoch but the first.

    Those of the first are the start model's. A checkpoint in the middle of an epoch has that
    epoch's: the weights that mined them are gone by then.

    Source: Xiong et al. 2021, "Approximate Nearest Neighbor Negative Contrastive Learning for Dense
    Text Retrieval" (ANCE), https://arxiv.org/abs/2007.00808.

    Args:
        collator: Shows negatives; it has those of the first epoch.
        mine: Called with the number of an epoch, in every process.
    """

    def __init__(self, collator: PairCollator, mine: Callable[[int], Ids | None]) -> None:
        self._collator = collator
        self._mine = mine
        self._epoch = 0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """Mine, unless a resumed epoch has its negatives."""
        epoch = int(state.epoch or 0)
        if epoch != self._epoch:
            self._collator.negatives = self._mine(epoch)
            self._epoch = epoch

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        negatives = self._collator.negatives
        if negatives is None:
            return {}
        return {_NEGATIVES: torch.from_numpy(negatives), _EPOCH: torch.tensor(self._epoch)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` took."""
        if _NEGATIVES in tensors:
            self._collator.negatives = tensors[_NEGATIVES].numpy()
            self._epoch = int(tensors[_EPOCH])
