"""`NaturalFeatures`: what photographs would look like to the image tower, without photographs.

No freely licensed set of captioned photographs comes in a package, yet training on drawings alone
makes an encoder forget photographs. The tower itself remembers them. Its last batch norm holds mean
and spread of every channel over ImageNet's pictures, which gives the mean pooled feature; and a
feature of class c lies from there along ``C w_c``, where ``w_c`` is the row of the classifier and C
the covariance of features (for classes that are Gaussian with one covariance the classifier is
``w_c = C^-1 (mean_c - mean)``: Fisher 1936; Bishop 2006, section 4.2). To such a feature the
deviation of some real picture from the mean is added as noise, and for some a second class. Their
texts are what WordNet knows of the class: its words, its gloss, and the kinds of thing it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm

CLASSES = 1000
_TOP = frozenset(
    {
        "entity",
        "physical entity",
        "object",
        "whole",
        "artifact",
        "organism",
        "living thing",
        "matter",
        "abstraction",
        "instrumentality",
        "physical object",
        "causal agent",
        "substance",
        "thing",
    }
)
_CONTEXTS = (
    "{a} on a table",
    "a close-up of {a}",
    "{a} in the grass",
    "{a} outdoors",
    "a man with {a}",
    "a woman and {a}",
    "two of them: {n}",
    "{a} in a room",
    "{a} on the street",
    "a small {n}",
    "a large {n}",
    "a person holding {a}",
    "{a} in the water",
    "{a} against the sky",
    "a photo of {a} and some people",
    "an old {n}",
    "a beautiful photo of {a}",
    "{n} in the foreground",
)


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """One ImageNet class.

    Attributes:
        name: Its short English name.
        words: The words of its WordNet synset.
        gloss: WordNet's definition.
        kinds: Its hypernyms, nearest first, up to the general ones.
    """

    name: str
    words: list[str]
    gloss: str
    kinds: list[str]


def read_classes(names: Sequence[str], synsets: Sequence[str], wordnet: str) -> list[ClassEntry]:
    """Look the classes up in WordNet 3.0's ``data.noun``.

    Args:
        names: Class names in ILSVRC 2012's order.
        synsets: ``n`` and the synset's offset, in the same order.
        wordnet: The text of ``data.noun``.
    """
    found: dict[str, tuple[list[str], str, list[str]]] = {}
    for line in wordnet.splitlines():
        if line.startswith("  "):
            continue  # the licence
        head, _, gloss = line.partition("|")
        fields = head.split()
        count = int(fields[3], 16)
        words = [fields[4 + 2 * i].replace("_", " ") for i in range(count)]
        start = 4 + 2 * count
        pointers = [
            fields[start + 1 + 4 * i : start + 5 + 4 * i] for i in range(int(fields[start]))
        ]
        above = [target for kind, target, *_ in pointers if kind in ("@", "@i")]
        found[fields[0]] = (words, gloss.strip(), above)
    entries = []
    for name, synset in zip(names, synsets, strict=True):
        words, gloss, above = found[synset[1:]]
        kinds: list[str] = []
        while above:
            kind_words, _, higher = found[above[0]]
            if kind_words[0].lower() in _TOP:
                break
            kinds.append(kind_words[0])
            above = higher
        short = re.sub(r'"[^"]*"', "", gloss).split(";")[0].strip()
        entries.append(ClassEntry(name, words, short, kinds))
    return entries


def class_texts(entry: ClassEntry, random: np.random.Generator) -> list[str]:
    """Twenty-four texts that a photograph of the class may have."""
    name, kinds = entry.name, entry.kinds or [entry.name]
    other = [word for word in entry.words if word.lower() != name.lower()] or [name]
    four = (entry.kinds[:4] + [name] * 4)[:4]
    texts = [f"a photo of a {name}", name, f"{name}. {', '.join(kinds[:3])}"]
    texts += [f"a photo of a {other[0]}", ", ".join(entry.words), entry.gloss]
    texts += [f"{name}, {entry.gloss}", f"a {kinds[0]}: {other[-1]}"]
    texts += [f"a photo of {with_article(kind)}" for kind in four]
    texts += [with_article(four[0]), four[1], f"{with_article(name)}, {with_article(four[0])}"]
    texts += [f"{four[0]} ({name})"]
    for thing, count in ((name, 6), (four[0], 2)):
        for choice in random.choice(len(_CONTEXTS), count, replace=False):
            texts.append(_CONTEXTS[choice].format(a=with_article(thing), n=thing))
    return texts


def with_article(noun: str) -> str:
    """``"an owl"``, ``"a tiger"``."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def natural_mean(shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Mean of ReLU6 of a normal variable: what a channel after batch norm is on average.

    Args:
        shift: Batch norm's bias, the mean.
        scale: Batch norm's weight, the standard deviation.
    """
    spread = np.abs(scale) + 1e-6
    low, high = (0 - shift) / spread, (6 - shift) / spread
    inside = shift * (norm.cdf(high) - norm.cdf(low)) + spread * (norm.pdf(low) - norm.pdf(high))
    return inside + 6 * (1 - norm.cdf(high))


@dataclass(frozen=True, slots=True, eq=False)
class NaturalFeatures:
    """Draws natural-looking features with texts.

    Attributes:
        mean: ``(1280,)``, the mean feature of ImageNet's pictures.
        directions: ``(1000, 1280)``, where each class lies from there.
        deviations: ``(n, 1280)``, of real pictures from their mean, used as noise.
        texts: ``(1000, v, 384)``, vectors of the classes' texts.
    """

    mean: torch.Tensor
    directions: torch.Tensor
    deviations: torch.Tensor
    texts: torch.Tensor

    def draw(
        self, count: int, random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features ``(count, 1280)`` of distinct classes, vectors ``(count, 384)``, classes."""

        def uniform(low: float, high: float) -> torch.Tensor:
            return low + (high - low) * torch.rand(count, 1, generator=random)

        chosen = torch.randperm(CLASSES, generator=random)[:count]
        second = torch.randint(CLASSES, (count,), generator=random)
        other = torch.randint(len(self.deviations), (count,), generator=random)
        towards = self.directions[chosen] + uniform(0, 0.5) * self.directions[second]
        features = self.mean + uniform(4, 10) * towards
        features = features + uniform(0.3, 0.9) * self.deviations[other]
        variant = torch.randint(self.texts.shape[1], (count,), generator=random)
        return features.clamp(min=0), self.texts[chosen, variant], chosen
