"""`pairs_of_space`: what people have said of a space's pictures, to train on."""

from __future__ import annotations

from unisem.captions import is_generated
from unisem.pairs.dataset import PairDataset
from unisem.pairs.labelling.feedback import Feedback
from unisem.pairs.pair import Pair
from unisem.space import SemanticSpace
from unisem.stores.selection import Selection


def pairs_of_space(space: SemanticSpace) -> PairDataset:
    """The pictures that a person has written a caption for, with it; generated ones are left out.

    Where searches are kept (`Feedback`), a query and the picture that somebody says was right for
    it are a pair, too.

    Args:
        space: The space.
    """
    judged = () if space.path is None else Feedback(space.path).pairs(space).pairs
    return PairDataset(
        judged
        + tuple(
            Pair.of(record.image, record.text, record.id)
            for record in space.store.select(Selection(modality="image"))
            if record.image is not None and record.text and not is_generated(record)
        )
    )
