"""`FewWords`: queries of a few words of a text, whose right answer is that text.

Which texts answer which query, nobody has said. But people ask with a few words, and what they look
for has some of them: so a few words of a text stand for a query that it answers. (The inverse cloze
task of Lee, Chang and Toutanova, ACL 2019, https://arxiv.org/abs/1906.00300, takes a sentence of a
passage; captions are shorter than that.)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector

MOST = 3
"""The most words that ask."""
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_LONGEST = 2000  # characters of a text that are looked at
_COMMON = 0.1  # share of the texts that have a word which says nothing of any


@dataclass(frozen=True, slots=True, eq=False)
class FewWords:
    """Queries that some texts answer.

    Attributes:
        asked: ``(p, d)`` float32, a few words of a text embedded as a query.
        owners: ``(p,)`` which of a sample's texts each is of.
    """

    asked: Vector
    owners: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.owners)

    def of(self, kept: NDArray[np.bool_]) -> FewWords:
        """Those of some texts only, numbered anew.

        Args:
            kept: ``(n,)`` which texts.
        """
        rows = kept[self.owners]
        places = np.cumsum(kept) - 1
        return FewWords(self.asked[rows], places[self.owners[rows]])


def few_words_of(texts: Sequence[str], rng: np.random.Generator) -> list[str | None]:
    """One to three words of each text, drawn, in their order.

    Words that a tenth of the texts have say nothing and are not drawn.

    Args:
        texts: Of one collection.
        rng: Draws.

    Returns:
        ``None`` for a text that has fewer than two words which say something.
    """
    words = [_WORD.findall(text[:_LONGEST]) for text in texts]
    has = Counter(word for found in words for word in {word.casefold() for word in found})
    most = max(2, _COMMON * len(texts))
    asked: list[str | None] = []
    for found in words:
        telling = {word.casefold(): word for word in found if has[word.casefold()] <= most}
        if len(telling) < 2:
            asked.append(None)
            continue
        count = int(rng.integers(1, min(MOST, len(telling) - 1) + 1))
        drawn = np.sort(rng.permutation(len(telling))[:count])
        said = list(telling.values())
        asked.append(" ".join(said[place] for place in drawn))
    return asked
