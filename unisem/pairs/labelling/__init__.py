"""Labelling: the few captions that a person is willing to write, where they help most."""

from unisem.pairs.labelling.labelling import Labelling
from unisem.pairs.labelling.question import Question
from unisem.pairs.labelling.space_pairs import pairs_of_space

__all__ = ["Labelling", "Question", "pairs_of_space"]
