"""Middleware for `langchain.agents.create_agent`: what an agent's model is shown of a space."""

from importlib.util import find_spec

if find_spec("langchain") is None:
    raise ImportError(
        "langchain_unisem.middleware needs langchain, which is not installed; "
        "install it with: pip install langchain"
    )

from langchain_unisem.middleware.images import ImageMiddleware

__all__ = ["ImageMiddleware"]
