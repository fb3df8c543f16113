"""Labelling: the few captions that a person is willing to write, where they help most.

Names are imported when first used, so that a search that is kept costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.pairs.labelling.feedback import Feedback as Feedback
    from unisem.pairs.labelling.labelling import Labelling as Labelling
    from unisem.pairs.labelling.question import Question as Question
    from unisem.pairs.labelling.space_pairs import pairs_of_space as pairs_of_space

__getattr__, __dir__, __all__ = lazy_names(__name__)
