"""`EqualBatches` against what it promises, for every small case."""

from __future__ import annotations

import itertools

import pytest

from unisem.errors import TrainingError
from unisem.training.inputs.batches import EqualBatches


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_batches_are_equal_large_enough_and_share_no_pair(processes: int) -> None:
    for count, wanted in itertools.product(range(2 * processes, 40), range(2, 12)):
        batches = EqualBatches(range(count), batch_size=wanted, seed=0, processes=processes)
        drawn = list(batches)
        assert len(drawn) == len(batches)
        assert len(drawn) % processes == 0
        sizes = {len(batch) for batch in drawn}
        assert len(sizes) == 1
        (size,) = sizes
        assert 2 <= size <= wanted  # one pair has no negatives
        flat = [pair for batch in drawn for pair in batch]
        assert len(set(flat)) == len(flat)
        assert set(flat) <= set(range(count))
        assert count - len(flat) < len(drawn) + processes * wanted


def test_every_epoch_has_an_order_of_its_own_and_every_pair_its_turn() -> None:
    batches = EqualBatches(range(17), batch_size=2, seed=3)
    orders = []
    for epoch in range(20):
        batches.set_epoch(epoch)
        orders.append(list(batches))
        assert list(batches) == orders[-1]
    assert len({str(order) for order in orders}) == 20
    assert {pair for order in orders for batch in order for pair in batch} == set(range(17))


def test_fewer_pairs_than_processes_need_are_refused() -> None:
    with pytest.raises(TrainingError, match="3 training pairs are too few for 2 processes"):
        EqualBatches(range(3), batch_size=2, seed=0, processes=2)
