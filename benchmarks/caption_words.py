"""`WordRecall`: which of the words that people gave a picture a machine finds, too.

Open Clip Art's drawings have a title and keywords. Their words are what a generated caption, or a
picture's tags, are held against: a caption that says the same in other words gets nothing for it,
so figures are low for everybody and are compared with each other alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.mini_training.captions import clean_title, split_caption
from unisem.evaluation.ranking import Floats

# Words that say nothing of a picture, or that the library's own tools left in keywords.
_EMPTY = frozenset(
    re.findall(
        "[a-z]+",
        "and appicon art clip clipart computer drawing for from gif icon icons image its objects "
        "picture png sign signs svg symbol symbols that the this unsorted with",
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class WordRecall:
    """Shares of words, a picture at a time.

    Attributes:
        recall: ``(n,)``, of a picture's own words those that were found.
        precision: ``(n,)``, of what was said those that are a picture's own; 0 if nothing was.
    """

    recall: Floats
    precision: Floats

    @classmethod
    def of(cls, said: Sequence[Sequence[str]], own: Sequence[set[str]]) -> WordRecall:
        """Compare.

        Args:
            said: Distinct words said of each picture.
            own: Each picture's own words, at least one.
        """
        found = [
            len(own_words.intersection(words)) for words, own_words in zip(said, own, strict=True)
        ]
        recall = [count / len(words) for count, words in zip(found, own, strict=True)]
        precision = [count / max(1, len(words)) for count, words in zip(found, said, strict=True)]
        return cls(np.array(recall), np.array(precision))


def caption_words(caption: str) -> set[str]:
    """The words of an Open Clip Art caption, "Title. keyword, keyword".

    >>> sorted(caption_words("Red cat 2. animal, unsorted"))
    ['animal', 'cat', 'red']
    """
    title, keywords = split_caption(caption)
    return set(words_of(" ".join([clean_title(title), *keywords])))


def words_of(text: str) -> list[str]:
    """Distinct words of three letters or more that say something, as they come.

    >>> words_of("A drawing of a red cat and a cat")
    ['red', 'cat']
    """
    found = re.findall(r"[a-z]{3,}", text.lower())
    return list(dict.fromkeys(word for word in found if word not in _EMPTY))
