"""`Setting`: what is known of a recipe's field beside its type, default and meaning.

What a setting means is written once, under ``Attributes`` of its recipe; what is written after
``None`` there is what happens without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

LossName = Literal["infonce", "sigmoid", "triplet"]
AdversaryName = Literal["reversal", "translation"]
Mining = Literal["hard", "semi-hard"]
Part = Literal["text", "image", "text-backbone", "image-backbone"]
Precision = Literal["float32", "bfloat16", "float16"]

Saved = Literal["whole", "adapter"]
"""What a run leaves: an encoder, or what it changed of one."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Stands in the annotation of a recipe's field: ``Annotated[int, Setting("Steps", "N")]``.

    Attributes:
        subject: What the setting is listed under, as the title of a panel.
        unit: What a value stands for, as ``N`` or ``SHARE``.
        option: Its option, where that is not named like the field.
        least: The smallest value.
        most: The greatest value.
        above: What a value must be greater than.
        needs: The setting that it belongs to, and which value that must have; any with ``None``.
    """

    subject: str
    unit: str | None = None
    option: str | None = None
    least: float | None = None
    most: float | None = None
    above: float | None = None
    needs: tuple[str, str | None] | None = None


def settings_of(recipe: type[Any]) -> dict[str, tuple[Any, Setting]]:
    """The types of a recipe's settings, and what is known of them, by name."""
    return {
        name: (get_args(hint)[0], get_args(hint)[1])
        for name, hint in get_type_hints(recipe, include_extras=True).items()
        if get_origin(hint) is Annotated
    }


def check_settings(recipe: Any) -> None:
    """Refuse values out of bounds, and names that are none of the known ones.

    Raises:
        ValueError: Names the setting and what it may be.
    """
    for name, (hint, known) in settings_of(type(recipe)).items():
        value, choices = getattr(recipe, name), choices_of(hint)
        if value is None:
            continue
        if choices and value not in choices:
            listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
            raise ValueError(f"{name} must be {listed}, not {value!r}")
        if known.above is not None and not value > known.above:  # which NaN is not either
            raise ValueError(f"{name} must be above {known.above}, not {value}")
        if known.least is not None and not value >= known.least:
            raise ValueError(f"{name} must be at least {known.least}, not {value}")
        if known.most is not None and not value <= known.most:
            raise ValueError(f"{name} must be at most {known.most}, not {value}")


def choices_of(hint: Any) -> tuple[str, ...]:
    """The values of a ``Literal``, or of one that may be ``None``; of other types none.

    >>> choices_of(Mining | None)
    ('hard', 'semi-hard')
    """
    alternatives = [hint] if get_origin(hint) is Literal else get_args(hint)
    return tuple(
        value for one in alternatives if get_origin(one) is Literal for value in get_args(one)
    )
