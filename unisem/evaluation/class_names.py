"""`ClassNames`: classes that are known by their names, and what an encoder makes of those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from unisem.errors import BenchmarkError
from unisem.readers.texts import decode_text
from unisem.records import Vector

TEMPLATES = ("a photo of a {}.",)
"""The one that CLIP's paper begins with."""

_MOST_BYTES = 1 << 24  # of a file of names


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Classes by their names, and the sentences that the names are put into.

    Source: CLIP (https://arxiv.org/abs/2103.00020), section 3.1.4: a sentence around the name says
    what kind of thing it is, and the mean of several sentences' vectors is better than one.

    Attributes:
        names: By label one or several names.
        templates: Sentences, each with one ``{}``.
    """

    names: Mapping[str, tuple[str, ...]] = field(repr=False)
    templates: tuple[str, ...] = TEMPLATES

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise BenchmarkError(f"{len(self.names)} classes; choosing needs at least two")
        if not self.templates:
            raise BenchmarkError('no template; "{}" puts a name by itself')
        for template in self.templates:
            if template.count("{}") != 1:
                raise BenchmarkError(f"the template {template!r} needs one {{}}, for the name")

    @classmethod
    def of(cls, names: Sequence[str], templates: Sequence[str] = TEMPLATES) -> Self:
        """Classes whose labels are their names.

        Raises:
            BenchmarkError: Fewer than two different ones, or a template without its one ``{}``.
        """
        return cls({label_key(name): (_spoken(name),) for name in names}, tuple(templates))

    @classmethod
    def read(cls, path: Path, templates: Path | None = None) -> Self:
        """Read a file of names, one a line.

        A line is a name, which is its label, too, or a label, a tab and a name. Several lines of
        one label are several names of one class.

        Args:
            path: The names; text.
            templates: Sentences, one a line; `TEMPLATES` if ``None``.

        Raises:
            BenchmarkError: As `of`; a file that is no text or too large, a line without a name.
            OSError: A file cannot be read.
        """
        names: dict[str, tuple[str, ...]] = {}
        for number, line in _lines(path):
            label, tab, name = line.partition("\t")
            name = name.strip() if tab else _spoken(label)
            label = label_key(label)
            if not label or not name or "\t" in name:
                raise BenchmarkError(f"{path}:{number} must be a name, or a label, a tab, a name")
            names[label] = (*names.get(label, ()), name)
        given = TEMPLATES if templates is None else tuple(line for _, line in _lines(templates))
        return cls(names, given)

    def prompts(self, label: str) -> list[str]:
        """Every name of a class in every sentence."""
        return [
            template.replace("{}", name)
            for name in self.names[label]
            for template in self.templates
        ]

    def vectors(self, of_prompts: Mapping[str, Vector]) -> Vector:
        """A unit vector for each class, ``(classes, d)``: the mean of its prompts' vectors.

        Args:
            of_prompts: ``(d,)`` unit vector of each prompt.
        """
        means = np.stack(
            [
                np.mean([of_prompts[prompt] for prompt in self.prompts(label)], axis=0)
                for label in self.names
            ]
        )
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        found: Vector = (means / np.maximum(lengths, 1e-12)).astype(np.float32)
        return found


def label_key(label: str) -> str:
    """A label as it is compared: ``Golden_Retriever`` is ``golden retriever``.

    >>> label_key(" Golden_Retriever ")
    'golden retriever'
    """
    return _spoken(label).casefold()


def _spoken(label: str) -> str:
    """A label as a name, in words: ``Golden_Retriever`` is ``Golden Retriever``."""
    return " ".join(label.replace("_", " ").split())


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise BenchmarkError(f"{path} has more than {_MOST_BYTES:,} bytes; it must be a list")
    try:
        text = decode_text(data)
    except ValueError as error:
        raise BenchmarkError(f"{path} is no text ({error})") from None
    return [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
