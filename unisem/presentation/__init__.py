"""How records are shown to a chat model: limits, order, captions, and the one fence."""

from unisem.presentation.fence import RULES, fenced, quoted, result

__all__ = ["RULES", "fenced", "quoted", "result"]
