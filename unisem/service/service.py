"""`Service`: spaces under names, who may ask them, and within which limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from secrets import token_bytes
from typing import Literal

from unisem.common.current import Current
from unisem.errors import UniSemError
from unisem.exchange.replicas.replica import OpenVersion
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
        replicas: Versions of published spaces by their names; closed by this.

    Attributes:
        settings: The limits.
        failures: How often a newer version of each published space could not be had.
    """

    def __init__(
        self,
        spaces: Mapping[str, SemanticSpace],
        settings: ServiceSettings | None = None,
        *,
        rerankers: Mapping[str, Reranker | Reranking] | None = None,
        tokens: Tokens | None = None,
        secret: bytes | None = None,
        replicas: Mapping[str, OpenVersion] | None = None,
    ) -> None:
        self.settings = settings or ServiceSettings()
        self._tokens = tokens
        secret = secret or token_bytes()
        writable = not self.settings.read_only
        hosted = [
            HostedSpace(name, space, self.settings, secret=secret, writable=writable)
            for name, space in spaces.items()
        ]
        hosted += [
            HostedSpace.of_version(name, opened, self.settings)
            for name, opened in (replicas or {}).items()
        ]
        self.failures: Counter[str] = Counter()
        self._hosted = {it.name: Current(it, HostedSpace.close) for it in hosted}
        self._encoders = {
            it.space.encoder.fingerprint: HostedEncoder(it.space.encoder, self.settings)
            for it in hosted
        }
        self._rerankers = {
            name: HostedReranker(name, Reranking.of(reranker), self.settings)
            for name, reranker in (rerankers or {}).items()
        }

    @contextmanager
    def spaces(self) -> Iterator[list[HostedSpace]]:
        """All of them, as they are now; none is closed before the block ends."""
        with ExitStack() as stack:
            yield [stack.enter_context(current.held()) for current in self._hosted.values()]

    def replace(self, name: str, opened: OpenVersion) -> None:
        """Serve another version of a published space from now on.

        Who has begun to ask the one before gets their answer of that; see `close_unused`.
        """
        encoder = opened.space.encoder
        if encoder.fingerprint not in self._encoders:  # the one before may still be asked
            hosted = HostedEncoder(encoder, self.settings)
            with suppress(UniSemError):  # whoever asks is told
                hosted.warm()
            self._encoders = {**self._encoders, encoder.fingerprint: hosted}
        self._hosted[name].replace(HostedSpace.of_version(name, opened, self.settings))

    def close_unused(self) -> int:
        """Close versions that are not served any more and have answered; how many are left."""
        return sum(current.close_unused() for current in self._hosted.values())

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

    @contextmanager
    def views(self, principal: Principal) -> Iterator[list[SpaceView]]:
        """The spaces that there are for somebody; none is closed before the block ends."""
        with self.spaces() as spaces:
            yield [SpaceView(it, principal) for it in spaces if principal.sees(it.name)]

    def view(self, name: str, principal: Principal) -> SpaceView:
        """A space as somebody sees it; for one that may be replaced, see `held`.

        Raises:
            RefusedError: There is none of that name for them (404).
        """
        return SpaceView(self._current(name, principal).present, principal)

    @contextmanager
    def held(self, name: str, principal: Principal) -> Iterator[SpaceView]:
        """A space as somebody sees it, which stays what it is until the block ends.

        Raises:
            RefusedError: There is none of that name for them (404).
        """
        with self._current(name, principal).held() as hosted:
            yield SpaceView(hosted, principal)

    def _current(self, name: str, principal: Principal) -> Current[HostedSpace]:
        current = self._hosted.get(name)
        if current is None or not principal.sees(name):
            raise RefusedError(
                404,
                "there is no such space",
                field="space",
                remedy="GET /v1/spaces lists those that there are for you",
            )
        return current

    def encoders(self, principal: Principal) -> list[HostedEncoder]:
        """The encoders of the spaces that there are for somebody."""
        with self.views(principal) as views:
            seen = dict.fromkeys(view.fingerprint for view in views)
        return [self._encoders[fingerprint] for fingerprint in seen]

    def encoder(
        self, name: str | None, principal: Principal, dimension: int | None = None
    ) -> HostedEncoder:
        """An encoder by its name or alias; the only one if ``None``.

        Of several of one name, whose vectors are cut to different sizes, the one of ``dimension``.

        Raises:
            RefusedError: There is none of that name (404), or several (400).
        """
        known = self.encoders(principal)
        found = [it for it in known if name in (None, it.name, it.alias)]
        if dimension is not None:  # which loads models that nobody else may ask for
            found = [it for it in found if it.dimension == dimension] or found
        if len(found) == 1:
            return found[0]
        if found and name is not None:
            each = "; ".join(it.options.in_words(it.options.of_vectors) or "plain" for it in found)
            raise RefusedError(
                400,
                f"several encoders have this name and differ in options ({each})",
                field="model",
                remedy="give dimensions, if theirs differ, or embed by the space: "
                "POST /v1/spaces/{space}/store/embed",
            )
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
        """Finish what waits; the spaces stay open, but for versions of published ones."""
        for current in self._hosted.values():
            current.close()
        for encoder in self._encoders.values():
            encoder.close()
        for reranker in self._rerankers.values():
            reranker.close()
