"""`CaptionCleaning`: captions from the web without what is no caption."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass, replace

from unisem.pairs.dataset import PairDataset
from unisem.pairs.input import Input
from unisem.pairs.pair import Pair

_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,200}>")
_URL = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_FILE_NAME = re.compile(r"^\S+\.(?:jpe?g|png|gif|webp|bmp|tiff?)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CaptionCleaning:
    """What is done to every caption, in this order.

    HTML tags and entities go, Unicode is normalised (NFKC), white space becomes single spaces. A
    text of which nothing is left is empty, and `check_pairs` leaves its pair out unless there is a
    picture with it.

    Attributes:
        urls: Remove URLs.
        file_names: Empty a caption that is a picture's file name (``IMG_1234.JPG``).
        max_words: Cut after so many words; ``None`` keeps all.
    """

    urls: bool = True
    file_names: bool = True
    max_words: int | None = None

    def clean(self, caption: str) -> str:
        """Clean one caption.

        >>> CaptionCleaning().clean("<b>A tiger</b> &amp; its cub  https://example.org/x")
        'A tiger & its cub'
        >>> CaptionCleaning().clean("IMG_1234.JPG")
        ''
        """
        text = html.unescape(_TAG.sub(" ", caption))
        if self.urls:
            text = _URL.sub(" ", text)
        text = " ".join(unicodedata.normalize("NFKC", text).split())
        if self.file_names and _FILE_NAME.match(text):
            return ""
        if self.max_words is not None:
            text = " ".join(text.split()[: self.max_words])
        return text

    def apply(self, dataset: PairDataset) -> PairDataset:
        """The dataset with every text cleaned: captions, and those of other kinds of pairs."""
        pairs = []
        for pair in dataset:
            query, document, *negatives = map(self._cleaned, pair.inputs)
            pairs.append(Pair(query, document, tuple(negatives)))
        return PairDataset(tuple(pairs), dataset.skipped)

    def _cleaned(self, one: Input) -> Input:
        return one if one.text is None else replace(one, text=self.clean(one.text))
