"""How records are shown to a chat model: one fence around what was retrieved."""

from unisem.presentation.fence import RULES, fenced, quoted, result

__all__ = ["RULES", "fenced", "quoted", "result"]
