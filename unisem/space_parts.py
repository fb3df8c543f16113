"""`SpaceParts`: what a space is made of, and how that is found at a place or made there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict

from unisem.encoders import Encoder, load_encoder
from unisem.images.library import ImageLibrary, listed_folders
from unisem.manifest import Manifest, kind_for
from unisem.search.searcher import Searcher
from unisem.stores import Store
from unisem.stores.frozen import is_frozen
from unisem.stores.kind import Place, StoreKind
from unisem.stores.registry import place_of

if TYPE_CHECKING:
    from unisem.ingest.pruning import Pruning
    from unisem.ingest.token_making import TokenMaker
    from unisem.rerank import Reranker


class ServiceAccess(TypedDict, total=False):
    """How a space of a service is to be used; see `SemanticSpace.connect`."""

    token: str | None
    timeout: float
    image_roots: Sequence[str | os.PathLike[str]] | None


class SpaceSettings(TypedDict, total=False):
    """How a space is to be opened; see `SemanticSpace.open`."""

    encoder: str | Encoder | None
    store: str | StoreKind | None
    index: Any
    durability: str | None
    image_roots: Sequence[str | os.PathLike[str]] | None
    copy_images: bool
    tokens_for: str | Reranker | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceParts:
    """The parts of an open space.

    Attributes:
        encoder: What embeds its records and queries.
        store: What keeps its records.
        image_library: Where its pictures may lie.
        place: Its directory or URI; ``None`` in memory.
        tokens: What makes a reranker's tokens of pictures that are added, if anything does.
        searcher: What runs queries; the usual one over encoder and store if ``None``.
        has_manifest: Whether there is a manifest at its place.
    """

    encoder: Encoder
    store: Store
    image_library: ImageLibrary
    place: Place | None
    tokens: TokenMaker | None = None
    searcher: Searcher | None = None
    has_manifest: bool = False

    @classmethod
    def at(
        cls,
        path: str | os.PathLike[str] | None,
        *,
        encoder: str | Encoder | None = None,
        store: str | StoreKind | None = None,
        index: Any = None,
        durability: str | None = None,
        image_roots: Sequence[str | os.PathLike[str]] | None = None,
        copy_images: bool = False,
        tokens_for: str | Reranker | None = None,
    ) -> Self:
        """Open what is at a place, or make it there; see `SemanticSpace.open`."""
        place = None if path is None else place_of(path)
        manifest = None if place is None else Manifest.read(place)
        kind = kind_for(manifest, store, place).with_settings(index=index, durability=durability)
        # A name that comes from a file is looked for on this machine only.
        is_told = encoder is None and manifest is not None
        named = "mini" if manifest is None else manifest.encoder
        told = manifest.options.remembered if is_told and manifest is not None else {}
        loaded = load_encoder(encoder or named, local_only=is_told, **told)
        if place is not None and manifest is not None:
            manifest.check(loaded, place)
        roots = None if image_roots is None else listed_folders(image_roots)
        folder = place if isinstance(place, Path) else None
        image_library = kind.image_library(place, roots, copy=copy_images)
        tokens = None
        if tokens_for is not None:
            from unisem.ingest.token_making import TokenMaker

            tokens = TokenMaker.of(tokens_for, folder, loaded)
        opened = kind.open(place, image_library, lambda: loaded.dimension)
        opened.expect(loaded.fingerprint)
        if place is not None and manifest is None:  # after the store, which it vouches for
            made = Manifest(loaded.name, loaded.fingerprint, kind.name, options=loaded.options)
            made.write(place)
        return cls(
            encoder=loaded,
            store=opened,
            image_library=image_library,
            place=place,
            tokens=tokens,
            has_manifest=place is not None,
        )

    @classmethod
    def connected(
        cls,
        url: str,
        space: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 60.0,
        image_roots: Sequence[str | os.PathLike[str]] | None = None,
    ) -> Self:
        """Use what a service keeps; see `SemanticSpace.connect`."""
        from unisem.remote import RemoteEncoder, RemoteSearcher, RemoteSpace, RemoteStore

        roots = None if image_roots is None else listed_folders(image_roots)
        there = RemoteSpace.at(url, space, token=token, timeout=timeout)
        encoder, store = RemoteEncoder(there), RemoteStore(there)
        return cls(
            encoder=encoder,
            store=store,
            image_library=ImageLibrary(None, roots),
            place=there.place,
            searcher=RemoteSearcher(there, encoder, store),
        )

    def pruning(self, folder: Path, prune: bool | Pruning | None) -> Pruning:
        """Whether a folder's records go with their files.

        Args:
            folder: The folder.
            prune: What is said in this run; ``None``: nothing, so what was said before counts.
        """
        from unisem.ingest.pruning import Pruning

        if prune is not None:
            return Pruning.of(prune)
        manifest = self._manifest()
        is_known = manifest is not None and self.image_library.locate(folder) in manifest.pruned
        return Pruning.STANDING if is_known else Pruning.NEVER

    def remember_pruning(self, folder: Path, prune: bool) -> None:
        """Have the space know for the next runs whether a folder's records go with their files."""
        manifest = self._manifest()
        frozen = isinstance(self.place, Path) and is_frozen(self.place)
        if manifest is None or self.place is None or frozen:
            return
        others = tuple(it for it in manifest.pruned if it != self.image_library.locate(folder))
        pruned = (*others, self.image_library.locate(folder)) if prune else others
        if set(pruned) != set(manifest.pruned):
            replace(manifest, pruned=pruned).write(self.place)

    @property
    def seen_file(self) -> Path | None:
        """Where it is kept what files looked like; ``None`` where nothing is to be written."""
        from unisem.ingest.seen_files import SEEN_FILE

        if not isinstance(self.place, Path) or not self.has_manifest or is_frozen(self.place):
            return None
        return self.place / SEEN_FILE

    def _manifest(self) -> Manifest | None:
        if not self.has_manifest or self.place is None:
            return None
        return Manifest.read(self.place)
