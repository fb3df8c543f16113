"""`Deployment`: all that a process must know to serve, so that several can serve alike."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_hex

from fastapi import FastAPI

from unisem.common.purpose import say_purpose
from unisem.errors import UniSemError
from unisem.manifest import Manifest
from unisem.service.settings import ServiceSettings
from unisem.space import SemanticSpace
from unisem.stores.kind import Place
from unisem.stores.registry import place_of


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is served to whom, within which limits.

    Attributes:
        spaces: Directories by the spaces' names in URLs.
        settings: The limits.
        token_file: Who may ask; anyone, if ``None``.
        rerankers: Names for `load_reranker`.
        image_roots: Folders that pictures may lie in, besides the usual ones.
        address: Where it is served.
        secret: What hides where listings go on, in hex.
        replicas: Where spaces are published, by the names in URLs.
        refresh: Seconds between two looks whether newer versions are published.
        cache: Folder of the versions on this machine; the usual one if ``None``.
    """

    spaces: dict[str, str]
    settings: ServiceSettings = field(default_factory=ServiceSettings)
    token_file: str | None = None
    rerankers: tuple[str, ...] = ()
    image_roots: tuple[str, ...] = ()
    address: str = ""
    secret: str = field(default_factory=token_hex, repr=False)
    replicas: dict[str, str] = field(default_factory=dict)
    refresh: float = 60.0
    cache: str | None = None

    def app(self, stack: ExitStack, writer: Path | None = None) -> FastAPI:
        """Open what is served, for as long as the stack is open, and make the application.

        Args:
            stack: Closes the spaces.
            writer: The socket of the process that writes, if that is another one.

        Raises:
            UniSemError: A space is not there or cannot be opened, or the file of tokens, or a
                reranker.
        """
        from unisem.exchange.replicas.replica import Published
        from unisem.search.reranking import Reranking
        from unisem.service.http.app import create_app
        from unisem.service.principals import Tokens

        short = [Path(name).name for name in self.rerankers]
        if twice := {name for name in short if short.count(name) > 1}:
            raise UniSemError(
                f"two rerankers are called {min(twice)}; a request could mean only one of them"
            )
        say_purpose(f"unisem serve at {self.address}")
        tokens = None if self.token_file is None else Tokens.read(Path(self.token_file))
        opened: dict[str, SemanticSpace] = {}
        for name, place in self.spaces.items():
            opened[name] = space = stack.enter_context(_open(place_of(place)))
            for root in self.image_roots:
                space.image_library.allow(Path(root))
        rerankers = {Path(name).name: Reranking.load(name) for name in self.rerankers}
        return create_app(
            opened,
            self.settings,
            rerankers=rerankers,
            tokens=tokens,
            writer=writer,
            secret=bytes.fromhex(self.secret),
            replicas={
                name: Published(source, cache=self.cache) for name, source in self.replicas.items()
            },
            refresh=self.refresh,
        )

    def to_json(self) -> str:
        """As text, for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Deployment:
        """Rebuild from `to_json`."""
        parts = json.loads(text)
        settings = parts.pop("settings")
        if settings["hosts"] is not None:
            settings["hosts"] = tuple(settings["hosts"])
        rerankers, roots = tuple(parts.pop("rerankers")), tuple(parts.pop("image_roots"))
        known = ServiceSettings(**settings)
        return cls(**parts, settings=known, rerankers=rerankers, image_roots=roots)


def _open(place: Place) -> SemanticSpace:
    """A space that is there; what is served is not made by that."""
    Manifest.existing(place)
    return SemanticSpace.open(place)
