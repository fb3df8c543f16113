"""`Service`: spaces under names, who may ask them, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from unisem.rerank.base import Reranker
from unisem.search.reranking import Reranking
from unisem.service.hosting import HostedSpace
from unisem.service.principals import Principal
from unisem.service.refusal import RefusedError
from unisem.service.settings import ServiceSettings
from unisem.service.view import SpaceView
from unisem.space import SemanticSpace


class Service:
    """What answers, whatever the protocol.

    Args:
        spaces: By their names; whoever opened them closes them.
        settings: The limits.
        rerankers: Rerankers that queries may ask for, by name.
    """

    def __init__(
        self,
        spaces: Mapping[str, SemanticSpace],
        settings: ServiceSettings | None = None,
        *,
        rerankers: Mapping[str, Reranker | Reranking] | None = None,
    ) -> None:
        self.settings = settings or ServiceSettings()
        self._hosted = {
            name: HostedSpace(name, space, self.settings, writable=not self.settings.read_only)
            for name, space in spaces.items()
        }
        self._rerankers = {
            name: Reranking.of(reranker) for name, reranker in (rerankers or {}).items()
        }

    @property
    def spaces(self) -> list[HostedSpace]:
        """All of them."""
        return list(self._hosted.values())

    @property
    def rerankers(self) -> list[str]:
        """Names of the rerankers."""
        return list(self._rerankers)

    def views(self, principal: Principal) -> list[SpaceView]:
        """The spaces that there are for somebody."""
        return [
            SpaceView(hosted, principal)
            for hosted in self._hosted.values()
            if principal.sees(hosted.name)
        ]

    def view(self, name: str, principal: Principal) -> SpaceView:
        """A space as somebody sees it.

        Raises:
            RefusedError: There is none of that name for them (404).
        """
        hosted = self._hosted.get(name)
        if hosted is None or not principal.sees(name):
            raise RefusedError(404, "there is no such space", field="space")
        return SpaceView(hosted, principal)

    def reranking(self, name: Literal[True] | str) -> Reranking:
        """A reranker by name, or the first one.

        Raises:
            RefusedError: There is none (422).
        """
        if not self._rerankers:
            raise RefusedError(
                422,
                "there is no reranker here",
                field="rerank",
                remedy="leave rerank out, or start the service with --reranker",
            )
        if name is True:
            return next(iter(self._rerankers.values()))
        if name not in self._rerankers:
            listed = ", ".join(self._rerankers)
            raise RefusedError(
                422, "there is no reranker of that name", field="rerank", remedy=f"use {listed}"
            )
        return self._rerankers[name]

    def close(self) -> None:
        """Finish what waits; the spaces stay open."""
        for hosted in self._hosted.values():
            hosted.close()
