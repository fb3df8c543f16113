"""`CrossModalInputs`: pairs as a cross-modal Transformer learns from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.images.reference import ImageRef
from unisem.pairs.dataset import Ids, PairDataset
from unisem.rerank.cross_modal.patch_features import PatchFeatures
from unisem.rerank.cross_modal.tokenizer import CaptionTokenizer
from unisem.rerank.cross_modal.word_vectors import WordVectors
from unisem.training.cross_modal.candidates import NONE
from unisem.training.inputs.feature_cache import FeatureCache
from unisem.training.inputs.preparing import content_digest

_PART = 512  # pictures per file of maps: 22 MB of mini's
_AT_ONCE = 4  # pictures in the tower; see `SentenceTransformerEncoder` for the 4
_TEXTS = 64

Maps = NDArray[np.float16]
Advance = Callable[[int], None]


class ReadTexts:
    """Texts as the network reads them: ids of its own words, or a text tower's token vectors.

    Args:
        texts: The texts; equal ones are read once.
        tokenizer: Own words.
        tower: What gives token vectors; ``None`` for own words.
        length: Words of a text that are read.
    """

    def __init__(
        self,
        texts: Sequence[str],
        tokenizer: CaptionTokenizer,
        tower: WordVectors | None,
        length: int,
    ) -> None:
        self.number = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        self._rows: list[Tensor] = []
        distinct = list(self.number)
        if tower is None:
            self._rows = [torch.tensor(row) for row in tokenizer.ids(distinct, length)]
            return
        for start in range(0, len(distinct), _TEXTS):
            vectors, present = tower.of(distinct[start : start + _TEXTS], length)
            lengths = present.sum(1).tolist()
            self._rows += [row[:n].half().cpu() for row, n in zip(vectors, lengths, strict=True)]

    def padded(self, rows: Ids) -> tuple[Tensor, Tensor]:
        """Texts by number, ``(…)`` with ``NONE`` for none, as the network takes them.

        Returns:
            Words ``(…, l)`` int64 or ``(…, l, w)`` float32, and ``(…, l)`` bool: what is there. Of
            no text one word is there, which means nothing.
        """
        found = [self._rows[row] if row != NONE else self._rows[0][:1] for row in rows.flat]
        words = torch.nn.utils.rnn.pad_sequence(found, batch_first=True)
        lengths = torch.tensor([len(row) for row in found])
        present = torch.arange(words.shape[1]) < lengths[:, None]
        words = words.float() if words.is_floating_point() else words
        return words.view(*rows.shape, *words.shape[1:]), present.view(*rows.shape, -1)


@dataclass(frozen=True, slots=True, eq=False)
class CrossModalInputs:
    """Pairs as a cross-modal Transformer learns from them.

    Attributes:
        captions: A caption per pair.
        maps: ``(m, p, c)`` float16, the feature map of each distinct picture.
        image_of: ``(n,)`` the row of each pair's picture.
        image_ids: ``(n,)`` picture ids.
        caption_ids: ``(n,)`` caption ids.
        texts: All texts, read.
        text_of: ``(n,)`` the number of each pair's caption among them.
        wrong: ``(n, g)`` numbers of captions that are wrong for each pair's picture; ``NONE`` for
            none.
    """

    captions: tuple[str, ...]
    maps: Maps
    image_of: Ids
    image_ids: Ids
    caption_ids: Ids
    texts: ReadTexts
    text_of: Ids
    wrong: Ids

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def stated(self) -> dict[int, list[Ids]]:
        """For each pair the others that have its wrong captions: ``(k,)`` positions of each."""
        having: dict[int, list[int]] = {}
        for position, text in enumerate(self.text_of.tolist()):
            having.setdefault(text, []).append(position)
        found = {
            position: [np.array(having[text], np.int64) for text in row if text in having]
            for position, row in enumerate(self.wrong.tolist())
        }
        return {position: pairs for position, pairs in found.items() if pairs}

    def features(self, rows: Ids) -> Tensor:
        """Feature maps of pictures, ``(b, p, c)`` float32."""
        return torch.from_numpy(self.maps[rows]).float()


def prepare_inputs(
    dataset: PairDataset,
    wrong: Sequence[Sequence[str]] | None,
    features: PatchFeatures,
    tower: WordVectors | None,
    tokenizer: CaptionTokenizer,
    length: int,
    cache: Path,
    *,
    advance: Advance = lambda count: None,
) -> CrossModalInputs:
    """Run the frozen towers over pairs, once: maps are kept on the disk.

    Args:
        dataset: Checked pairs.
        wrong: Captions that are wrong for each pair's picture.
        features: The image tower.
        tower: The text tower, if its token vectors are read.
        tokenizer: The network's own words.
        length: Words of a text that are read.
        cache: Where maps are stored.
        advance: Called with the number of pictures done since the last call.

    Raises:
        ImageError: A picture cannot be used any more.
    """
    image_ids = dataset.document_ids
    _, first, image_of = np.unique(image_ids, return_index=True, return_inverse=True)
    references = [dataset[int(position)].image for position in first]
    maps = _maps(references, features, cache, advance)
    given = [list(row) for row in wrong] if wrong is not None else [[] for _ in dataset]
    texts = ReadTexts(
        [*dataset.captions, *(text for row in given for text in row)], tokenizer, tower, length
    )
    most = max(map(len, given), default=0)
    numbers = [[texts.number[text] for text in row] + [NONE] * (most - len(row)) for row in given]
    return CrossModalInputs(
        tuple(dataset.captions),
        maps,
        image_of.astype(np.int64),
        image_ids,
        dataset.query_ids,
        texts,
        np.array([texts.number[caption] for caption in dataset.captions], np.int64),
        np.array([row + [NONE] * (most - len(row)) for row in numbers], np.int64).reshape(
            len(numbers), most
        ),
    )


def _maps(
    references: Sequence[ImageRef], features: PatchFeatures, cache: Path, advance: Advance
) -> Maps:
    encoder: SentenceTransformerEncoder = features.encoder
    places, width = features.side**2, features.width

    def compute(positions: list[int]) -> Maps:
        made = np.empty((len(positions), places * width), np.float16)
        for start in range(0, len(positions), _AT_ONCE):
            batch = positions[start : start + _AT_ONCE]
            prepared = [encoder.prepare_image(references[position]) for position in batch]
            found = features.of(prepared).flatten(1).cpu().numpy()
            # Beyond float16 there is nothing that a norm would tell apart.
            made[start : start + len(batch)] = np.clip(found, -6e4, 6e4)
            advance(len(batch))
        return made

    store = FeatureCache(cache / f"{features.fingerprint[:32]}-maps", part=_PART)
    digests = [content_digest(reference) for reference in references]
    return store.get(digests, compute).reshape(-1, places, width)
