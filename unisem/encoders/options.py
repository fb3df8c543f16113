"""`EncoderOptions`: how a model was asked to embed; what of it changes vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

# In the order of `unisem.training.settings.Precision`: to `typing` the two are equal, and whichever
# is met first stands for both in a union.
Dtype = Literal["float32", "bfloat16", "float16"]
"""In which floating type a model computes."""

Attention = Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"]
"""How attention is computed, by transformers' names; others would be fetched from a hub."""

_OF_VECTORS = ("dimension", "query_instruction", "document_instruction", "max_pixels")
_REMEMBERED = (*_OF_VECTORS, "dtype")
_LARGEST = {"dimension": 1 << 16, "max_pixels": 1 << 28}
_LETTERS = 4096  # of an instruction; models read fewer


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """What `load_encoder` was told besides the model; ``None`` leaves it to the model.

    The first four change vectors, and are part of the encoder's fingerprint. The floating type
    changes their last digits, attention the very last: neither is. A space remembers all but
    attention, which, as the device, belongs to a machine.

    Attributes:
        dimension: How many numbers of a vector are kept: the first ones, scaled to unit length.
        query_instruction: What goes before a query, in place of the model's own prompt.
        document_instruction: What goes before any other text; where a model takes instructions as
            messages of the system, before a picture, too.
        max_pixels: How many pixels of a picture the model looks at, at most.
        dtype: In which floating type the model computes.
        attention: How it computes attention.

    Raises:
        ValueError: One means nothing; names it.

    >>> EncoderOptions(dimension=256).of_vectors
    {'dimension': 256}
    """

    dimension: int | None = None
    query_instruction: str | None = None
    document_instruction: str | None = None
    max_pixels: int | None = None
    dtype: Dtype = "float32"
    attention: Attention | None = None

    def __post_init__(self) -> None:
        for name, most in _LARGEST.items():
            number = getattr(self, name)
            if number is not None and (type(number) is not int or not 1 <= number <= most):
                raise ValueError(
                    f"{name} must be a whole number from 1 to {most:,}, not {number!r}"
                )
        for name in ("query_instruction", "document_instruction"):
            text = getattr(self, name)
            if text is None:
                continue
            if not isinstance(text, str) or len(text) > _LETTERS or not _is_unicode(text):
                raise ValueError(f"{name} must be a text of at most {_LETTERS:,} characters")
        if self.dtype not in get_args(Dtype):
            raise ValueError(f"dtype must be float32, float16 or bfloat16, not {self.dtype!r}")
        if self.attention not in (None, *get_args(Attention)):
            listed = ", ".join(get_args(Attention))
            raise ValueError(f"attention must be one of {listed}, not {self.attention!r}")

    @classmethod
    def from_json(cls, known: object) -> Self:
        """What `given` or `remembered` gave, and a file has kept or a service tells.

        Raises:
            ValueError: It is no such thing; says why.
        """
        if not isinstance(known, Mapping):
            raise ValueError("the encoder's options must be an object")
        names = [field.name for field in fields(cls)]
        if strange := sorted(str(name) for name in known if name not in names):
            raise ValueError(f"there is no option {strange[0]!r} of an encoder")
        return cls(**{str(name): value for name, value in known.items()})

    @property
    def given(self) -> dict[str, Any]:
        """All that differs from a plain load, by name."""
        plain = asdict(EncoderOptions())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}

    @property
    def of_vectors(self) -> dict[str, Any]:
        """What changes vectors, by name."""
        return {name: value for name, value in self.given.items() if name in _OF_VECTORS}

    @property
    def remembered(self) -> dict[str, Any]:
        """What a space keeps, by name."""
        return {name: value for name, value in self.given.items() if name in _REMEMBERED}

    def fingerprint(self, model: str) -> str:
        """The fingerprint of an encoder; ``model`` is its model's, which a plain one has."""
        if not self.of_vectors:
            return model
        asked = json.dumps(self.of_vectors, sort_keys=True)
        return hashlib.sha256(f"{model} {asked}".encode()).hexdigest()

    def differing(self, other: EncoderOptions) -> list[str]:
        """In which of the options that change vectors two differ, by name."""
        return [name for name in _OF_VECTORS if getattr(self, name) != getattr(other, name)]

    def in_words(self, names: Iterable[str]) -> str:
        """Options as one writes them.

        >>> EncoderOptions(dimension=256).in_words(["dimension", "max_pixels"])
        'dimension=256, no max_pixels'
        """
        values = {name: getattr(self, name) for name in names}
        return ", ".join(
            f"no {name}" if value is None else f"{name}={value!r}" for name, value in values.items()
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
