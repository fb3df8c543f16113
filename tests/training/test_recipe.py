"""`Recipe` refuses what means nothing before any picture is opened."""

from __future__ import annotations

from typing import Any

import pytest

from unisem.training import Recipe


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"loss": "hinge"}, "loss must be"),
        ({"batch_size": 1}, "one pair has no negatives"),
        ({"epochs": 0}, "epochs must be"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"interpolation": 2.0}, "interpolation"),
        ({"precision": "int8"}, "precision"),
        ({"hard_negatives": -1}, "hard_negatives"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": float("nan")}, "temperature must be above 0"),
        ({"margin": 0.0}, "margin must be above 0"),
        ({"mining": "softest"}, "mining must be"),
        ({"mask_above": 3.0}, "mask_above"),
        ({"dimensions": (8, 0)}, "dimensions must be"),
        ({"lora": 0}, "lora must be at least 1"),
        ({"mini_batch_size": 0}, "mini_batch_size must be at least 1"),
        ({"unfreeze_every": 0.0}, "unfreeze_every must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"warmup": 1.0}, "warmup"),
        ({"validation": 1.0}, "validation must be between"),
        ({"freeze": "text"}, "freeze is a tuple"),
        ({"seed": -1}, "seed"),
    ],
)
def test_nonsense_recipes_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Recipe(**options)
