"""Batches made while the model computes: `AheadCollator` in training, `made_ahead` elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from unisem.pairs.dataset import Ids
from unisem.training.inputs.collator import PairCollator

Batch = dict[str, Any]
_Input = TypeVar("_Input")
_Made = TypeVar("_Made")


class AheadCollator:
    """A collator that only begins a batch; one background thread makes it.

    accelerate's data loader asks for a batch one step before it is used. So while the model
    computes a step, the next step's batch is being made. A batch depends on its pairs and the epoch
    alone, and making it draws no numbers from global generators: weights come out the same to the
    bit.

    Args:
        collator: Makes the batches.

    Attributes:
        epoch: As a `PairCollator` has it.
    """

    valid_label_columns = PairCollator.valid_label_columns

    def __init__(self, collator: PairCollator) -> None:
        self._collator = collator
        self._pool = ThreadPoolExecutor(1, "unisem-batch")
        self.epoch = 0

    @property
    def kinds(self) -> dict[str, Ids]:
        """As a `PairCollator` has them."""
        return self._collator.kinds

    def __call__(self, rows: Sequence[dict[str, int]]) -> Future[Batch]:
        """Begin a batch; see `PairCollator`."""
        return self._pool.submit(self._collator.make, rows, self.epoch)

    def close(self) -> None:
        """Drop what was begun, and wait for the thread."""
        self._pool.shutdown(cancel_futures=True)


class Awaited(Sequence[Batch]):
    """Batches that were begun, each waited for when its turn comes.

    Args:
        begun: From an `AheadCollator`.
    """

    def __init__(self, begun: Iterable[Future[Batch]]) -> None:
        self._begun = list(begun)

    def __len__(self) -> int:
        return len(self._begun)

    def __getitem__(self, position: Any) -> Any:
        """The batch; what went wrong while it was made is raised here."""
        return self._begun[position].result()


def made_ahead(make: Callable[[_Input], _Made], inputs: Iterable[_Input]) -> Iterator[_Made]:
    """Yield what is made of each input, the next one being made while the caller uses this one."""
    pool = ThreadPoolExecutor(1, "unisem-batch")
    try:
        begun: Future[_Made] | None = None
        for value in inputs:
            now, begun = begun, pool.submit(make, value)
            if now is not None:
                yield now.result()
        if begun is not None:
            yield begun.result()
    finally:
        pool.shutdown(cancel_futures=True)
