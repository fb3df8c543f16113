"""Evaluation: how well a space retrieves, in the field's measures."""

from unisem.evaluation.ranking import Ranking

__all__ = ["Ranking"]
