"""`learning_rates`: which parameters learn at a rate of their own."""

from __future__ import annotations

from typing import Any

from unisem.encoders.sides import side_modules
from unisem.errors import TrainingError
from unisem.records import Modality
from unisem.training.model.modality_parts import backbone_parameters
from unisem.training.recipe import Recipe


def learning_rates(model: Any, recipe: Recipe) -> dict[str, float]:
    """Rates, at their peak, of the parameters that do not learn at the recipe's ``learning_rate``.

    A head is what is trained and belongs to no network: layers behind the networks, and the
    projections of a CLIP.

    Args:
        model: A ``SentenceTransformer`` or a view of one, frozen as it will be trained.
        recipe: Has ``head_rate``, ``text_tower_rate`` and ``image_tower_rate``.

    Returns:
        Rates by parameter name.

    Raises:
        TrainingError: A rate for what is not trained, or two for one network.
    """
    sides: tuple[Modality, ...] = ("text", "image")
    towers = {
        side: {
            id(parameter)
            for module in side_modules(model, side)
            for parameter in backbone_parameters(module, side)
        }
        for side in sides
    }
    trained = {name: id(p) for name, p in model.named_parameters() if p.requires_grad}
    parts = {
        "text_tower_rate": {n for n, p in trained.items() if p in towers["text"]},
        "image_tower_rate": {n for n, p in trained.items() if p in towers["image"]},
        "head_rate": {n for n, p in trained.items() if p not in towers["text"] | towers["image"]},
    }
    rates: dict[str, float] = {}
    for setting, names in parts.items():
        rate = getattr(recipe, setting)
        if rate is None:
            continue
        if not names:
            raise TrainingError(
                f"{setting} would do nothing: that part is frozen or the model has none. Leave it "
                "out, or freeze less"
            )
        if any(rates.get(name, rate) != rate for name in names):
            raise TrainingError(
                "this model has one network for texts and pictures, which cannot learn at two "
                "rates; make text_tower_rate and image_tower_rate equal"
            )
        rates |= dict.fromkeys(names, rate)
    return rates
