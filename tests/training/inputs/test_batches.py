"""`EqualBatches` against what it promises, for every small case."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from accelerate.data_loader import BatchSamplerShard  # type: ignore[import-untyped]

from unisem.errors import TrainingError
from unisem.training.inputs.batches import EqualBatches


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_batches_are_equal_large_enough_and_share_no_pair(processes: int) -> None:
    for count, wanted in itertools.product(range(max(2, processes), 40), range(2, 12)):
        batches = EqualBatches(range(count), batch_size=wanted, seed=0, processes=processes)
        drawn = list(batches)
        assert len(drawn) == len(batches)
        assert len(drawn) % processes == 0
        sizes = {len(batch) for batch in drawn}
        assert min(sizes) >= 1
        assert max(sizes) <= min(wanted, min(sizes) + 1)
        joint = joined(drawn, processes)
        (size,) = {len(batch) for batch in joint}
        assert size >= 2  # one pair has no negatives
        flat = [pair for batch in drawn for pair in batch]
        assert len(set(flat)) == len(flat)
        assert set(flat) <= set(range(count))
        assert count - len(flat) < len(joint) + processes * wanted
        assert len(joint) == 1 or len(joint) - 1 < count / (wanted * processes)


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_processes_share_what_one_would_have(processes: int) -> None:
    """Through accelerate's part of a sampler, which gives each process its own."""
    for count, wanted in itertools.product(range(processes, 40), range(2, 9)):
        batches = EqualBatches(range(count), batch_size=wanted, seed=4, processes=processes)
        one = list(EqualBatches(range(count), batch_size=wanted * processes, seed=4))
        shares = [list(BatchSamplerShard(batches, processes, rank)) for rank in range(processes)]
        joint = [list(itertools.chain(*parts)) for parts in zip(*shares, strict=True)]
        if count // max(2, processes) >= len(one):  # else a process would have nothing
            assert joint == one
        else:
            assert [len(batch) for batch in joint] == [count // len(joint)] * len(joint)


def test_even_batches_leave_pairs_over() -> None:
    batches = EqualBatches(range(15), batch_size=3, seed=4, processes=2, even=True)
    assert [len(batch) for batch in batches] == [2, 2] * 3


def joined(parts: list[list[int]], processes: int) -> list[list[int]]:
    """Each step's batch from its parts."""
    steps = [parts[start : start + processes] for start in range(0, len(parts), processes)]
    return [list(itertools.chain(*step)) for step in steps]


def test_every_epoch_has_an_order_of_its_own_and_every_pair_its_turn() -> None:
    batches = EqualBatches(range(17), batch_size=2, seed=3)
    orders = []
    for epoch in range(20):
        batches.set_epoch(epoch)
        orders.append(list(batches))
        assert list(batches) == orders[-1]
    assert len({str(order) for order in orders}) == 20
    assert {pair for order in orders for batch in order for pair in batch} == set(range(17))


def test_a_batch_is_of_one_kind_and_kinds_take_turns() -> None:
    kinds = {"even": np.arange(0, 30, 2), "odd": np.arange(1, 14, 2)}
    batches = EqualBatches(range(22), batch_size=4, seed=1, kinds=kinds)
    orders = []
    for epoch in range(8):
        batches.set_epoch(epoch)
        drawn = list(batches)
        assert len(drawn) == len(batches) == 4 + 2
        assert all(len({pair % 2 for pair in batch}) == 1 for batch in drawn)
        assert sorted(len(batch) for batch in drawn) == [3] * 6
        flat = [pair for batch in drawn for pair in batch]
        assert len(set(flat)) == len(flat)
        orders.append([batch[0] % 2 for batch in drawn])
        assert list(batches) == drawn
    assert len({str(order) for order in orders}) > 2, "kinds take turns in another way"
    with pytest.raises(TrainingError, match="one pair of the kind odd"):
        EqualBatches(range(9), batch_size=4, seed=1, kinds=kinds | {"odd": np.arange(1)})


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_batches_of_several_kinds(processes: int) -> None:
    kinds = {"one": np.arange(17), "two": np.arange(17, 30)}
    size = 4
    whole = list(EqualBatches(range(30), batch_size=size * processes, seed=2, kinds=kinds))
    batches = EqualBatches(range(30), batch_size=size, seed=2, processes=processes, kinds=kinds)
    shares = [list(BatchSamplerShard(batches, processes, rank)) for rank in range(processes)]
    joint = [list(itertools.chain(*parts)) for parts in zip(*shares, strict=True)]
    assert joint == whole


def test_fewer_pairs_than_processes_need_are_refused() -> None:
    with pytest.raises(TrainingError, match="3 training pairs are too few for 4 processes"):
        EqualBatches(range(3), batch_size=2, seed=0, processes=4)


def test_one_pair_of_a_kind_is_named() -> None:
    kinds = {"text to image": np.arange(4), "text to text": np.array([4])}
    with pytest.raises(TrainingError, match="one pair of the kind text to text"):
        EqualBatches(range(5), batch_size=2, seed=0, kinds=kinds)
