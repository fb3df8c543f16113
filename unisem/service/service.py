"""`Service`: spaces under names, who may ask them, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from secrets import token_bytes
from typing import Literal

from unisem.errors import UniSemError
from unisem.rerank.base import Reranker
from unisem.search.reranking import Reranking
from unisem.service.embedding import HostedEncoder
from unisem.service.hosting import HostedSpace
from unisem.service.principals import ANYONE, Principal, Tokens
from unisem.service.refusal import RefusedError
from unisem.service.reranking import HostedReranker
from unisem.service.settings import ServiceSettings
from unisem.service.view import SpaceView
from unisem.space import SemanticSpace


class Service:
    """What answers, whatever the protocol.

    Args:
        spaces: By their names; whoever opened them closes them.
        settings: The limits.
        rerankers: Rerankers that queries may ask for, by name.
        tokens: Who may ask; anyone, if ``None``.
        secret: Hides where listings go on; processes that serve alike have the same. A random one
            if ``None``.
    """

    def __init__(
        self,
        spaces: Mapping[str, SemanticSpace],
        settings: ServiceSettings | None = None,
        *,
        rerankers: Mapping[str, Reranker | Reranking] | None = None,
        tokens: Tokens | None = None,
        secret: bytes | None = None,
    ) -> None:
        self.settings = settings or ServiceSettings()
        self._tokens = tokens
        secret = secret or token_bytes()
        writable = not self.settings.read_only
        self._hosted = {
            name: HostedSpace(name, space, self.settings, secret=secret, writable=writable)
            for name, space in spaces.items()
        }
        self._encoders = {
            space.encoder.fingerprint: HostedEncoder(space.encoder, self.settings)
            for space in spaces.values()
        }
        self._rerankers = {
            name: HostedReranker(name, Reranking.of(reranker), self.settings)
            for name, reranker in (rerankers or {}).items()
        }

    @property
    def spaces(self) -> list[HostedSpace]:
        """All of them."""
        return list(self._hosted.values())

    @property
    def rerankers(self) -> list[str]:
        """Names of the rerankers."""
        return list(self._rerankers)

    @property
    def waiting_inputs(self) -> int:
        """How many requests for embeddings wait."""
        return sum(encoder.waiting for encoder in self._encoders.values())

    def principal(self, authorization: str | None) -> Principal:
        """Who asks, by the ``Authorization`` header.

        Raises:
            RefusedError: Nobody who is known (401).
        """
        if self._tokens is None:
            return ANYONE
        scheme, _, token = (authorization or "").partition(" ")
        found = self._tokens.find(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise RefusedError(
                401,
                "there is no token that is known here",
                field="Authorization",
                remedy="send it as Authorization: Bearer …",
                code="invalid_api_key",
            )
        return found

    def warm(self) -> None:
        """Load what embeds, so that the first question need not wait for it."""
        for encoder in self._encoders.values():
            with suppress(UniSemError):  # whoever asks is told
                encoder.warm()

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
            raise RefusedError(
                404,
                "there is no such space",
                field="space",
                remedy="GET /v1/spaces lists those that there are for you",
            )
        return SpaceView(hosted, principal)

    def encoders(self, principal: Principal) -> list[HostedEncoder]:
        """The encoders of the spaces that there are for somebody."""
        seen = dict.fromkeys(view.fingerprint for view in self.views(principal))
        return [self._encoders[fingerprint] for fingerprint in seen]

    def encoder(self, name: str | None, principal: Principal) -> HostedEncoder:
        """An encoder by its name or alias; the only one if ``None``.

        Raises:
            RefusedError: There is none of that name (404), or several and no name (400).
        """
        known = self.encoders(principal)
        found = [it for it in known if name in (None, it.name, it.alias)]
        if found and (name is not None or len(found) == 1):
            return found[0]
        listed = ", ".join(it.name for it in known)
        if name is None:
            raise RefusedError(400, "model is not given", field="model", remedy=f"use {listed}")
        raise RefusedError(
            404,
            "there is no such model",
            field="model",
            remedy=f"use {listed}",
            code="model_not_found",
        )

    def encoder_of(self, view: SpaceView) -> HostedEncoder:
        """The encoder of a space."""
        return self._encoders[view.fingerprint]

    def reranking(self, name: Literal[True] | str) -> Reranking:
        """A reranker by name, or the first one, for a search.

        Raises:
            RefusedError: There is none (422).
        """
        return self.hosted_reranker(None if name is True else name).reranking

    def hosted_reranker(self, name: str | None, field: str = "rerank") -> HostedReranker:
        """A reranker by name, or the first one; ``field`` is where a request names it.

        Raises:
            RefusedError: There is none (422).
        """
        if not self._rerankers:
            raise RefusedError(
                422,
                "there is no reranker here",
                field=field,
                remedy="leave rerank out, or start the service with --reranker"
                if field == "rerank"
                else "start the service with --reranker",
            )
        if name is None:
            return next(iter(self._rerankers.values()))
        if name not in self._rerankers:
            listed = ", ".join(self._rerankers)
            raise RefusedError(
                422, "there is no reranker of that name", field=field, remedy=f"use {listed}"
            )
        return self._rerankers[name]

    def close(self) -> None:
        """Finish what waits; the spaces stay open."""
        for space in self.spaces:
            space.close()
        for encoder in self._encoders.values():
            encoder.close()
        for reranker in self._rerankers.values():
            reranker.close()
