"""`pairs_of_space`: the captioned pictures of a space, to train on."""

from __future__ import annotations

from unisem.captions import is_generated
from unisem.pairs.dataset import PairDataset
from unisem.pairs.pair import Pair
from unisem.space import SemanticSpace
from unisem.stores.selection import Selection


def pairs_of_space(space: SemanticSpace) -> PairDataset:
    """The pictures that a person has written a caption for, with it; generated ones are left out.

    Args:
        space: The space.
    """
    return PairDataset(
        tuple(
            Pair(record.image, record.text, record.id)
            for record in space.store.select(Selection(modality="image"))
            if record.image is not None and record.text and not is_generated(record)
        )
    )
