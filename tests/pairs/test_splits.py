"""What may be held out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.support import numbered_pairs
from unisem.errors import TrainingError
from unisem.evaluation.options import EvaluationOptions
from unisem.pairs import split_pairs


@pytest.mark.parametrize("part", [1.5, 0, -1, -0.5, float("nan"), float("inf"), 2.0001])
def test_what_is_neither_a_share_nor_a_number_is_refused(tmp_path: Path, part: float) -> None:
    pairs = numbered_pairs(tmp_path, 6)
    with pytest.raises(TrainingError, match=r"held_out must be a share .* or a whole number"):
        split_pairs(pairs, held_out=part)
    with pytest.raises(ValueError, match=r"held_out must be a share .* or a whole number"):
        EvaluationOptions(held_out=part)


def test_shares_and_whole_numbers(tmp_path: Path) -> None:
    pairs = numbered_pairs(tmp_path, 6)
    for part in (0.5, 3, 3.0):
        assert len(split_pairs(pairs, held_out=part).held_out) == 3


@pytest.mark.parametrize("part", [11, 12, 0.95, 99])
def test_something_must_be_left_to_train_on(tmp_path: Path, part: float) -> None:
    pairs = numbered_pairs(tmp_path, 6, captions=2)  # 12 pairs that hang together in twos
    with pytest.raises(TrainingError, match="hold out fewer"):
        split_pairs(pairs, held_out=part)
    assert len(split_pairs(pairs, held_out=10).train) == 2
