"""`Enrichable`: what a space can be given beside its records: captions, tokens, and more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.calibration import Calibration
from unisem.encoders import Encoder
from unisem.stores import Store
from unisem.stores.sampling import fitted_to

if TYPE_CHECKING:  # what a search does without is imported where it is used
    from unisem.captioners import Captioner
    from unisem.graph import KnowledgeGraph
    from unisem.ingest.captioning import CaptionReport, RemovalReport
    from unisem.ingest.token_making import TokenReport
    from unisem.rerank import Reranker


class Enrichable(ABC):
    """Captions, a calibration, a reranker's tokens and a graph, of records that are there.

    `SemanticSpace` is one; records come and go by its own methods.
    """

    @property
    @abstractmethod
    def path(self) -> Path | None:
        """The space's directory; ``None`` if it is none."""

    @property
    @abstractmethod
    def encoder(self) -> Encoder:
        """What embeds this space's records and queries."""

    @property
    @abstractmethod
    def store(self) -> Store:
        """What keeps this space's records."""

    @property
    def graph(self) -> KnowledgeGraph:
        """Entities and relations over this space's records; see ``docs/concepts/graph.md``.

        Raises:
            StoreError: The space's store keeps none.
        """
        from unisem.graph import KnowledgeGraph

        return KnowledgeGraph(self.store, self.encoder)

    def caption(
        self, captioner: str | Captioner, *, progress: Callable[[int, int], None] | None = None
    ) -> CaptionReport:
        """Give every picture without words a generated caption, and mark it as such.

        The caption is the record's text and has a vector of its own; the picture's stays. No
        picture is asked about twice, and each batch is committed by itself. See
        ``docs/guides/captions.md``.

        Args:
            captioner: A `Captioner`, or a name for `load_captioner`; ``"tags"`` works with this
                space's encoder.
            progress: Called with (pictures done, pictures in all).

        Raises:
            CaptionerError: There is no such captioner, or it has failed on 16 pictures running.
        """
        from unisem.captioners import load_captioner
        from unisem.ingest.captioning import fill_captions

        parts = self.store, self.encoder, load_captioner(captioner, encoder=self.encoder)
        return fill_captions(*parts, directory=self.path, progress=progress)

    def remove_captions(
        self, captioner: str | None = None, *, progress: Callable[[int, int], None] | None = None
    ) -> RemovalReport:
        """Take generated captions out again, where nobody has changed them.

        Args:
            captioner: Only those that are marked with this name.
            progress: Called with (captions done, captions in all).
        """
        from unisem.ingest.captioning import remove_captions

        return remove_captions(self.store, captioner=captioner, progress=progress)

    @property
    def calibration(self) -> Calibration | None:
        """What makes scores of texts and pictures comparable; ``None``: they are raw cosines."""
        return self.store.calibration

    def calibrate(
        self, *, seed: int = 0, progress: Callable[[int, int], None] | None = None
    ) -> Calibration:
        """Fit a calibration to what this space holds, and search by it from now on.

        Args:
            seed: Decides which of many records are looked at.
            progress: Called with (records done, records in all).

        Raises:
            CalibrationError: Fewer than 32 texts or than 32 pictures. The one before stays.
            StoreError: The store cannot calibrate, or the disk refused; likewise.
        """
        encode = self.encoder.encode_texts
        fitted = fitted_to(self.store, encode, self.encoder.fingerprint, seed, progress)
        self.store.calibrate(fitted)
        return fitted

    def use_calibration(self, calibration: Calibration | None) -> None:
        """Search by a calibration that was fitted elsewhere, or by raw cosines; as `calibrate`."""
        self.store.calibrate(calibration)

    def make_tokens(
        self, reranker: Reranker, *, progress: Callable[[int, int], None] | None = None
    ) -> TokenReport:
        """Keep in this space what a reranker needs of its records, so that it need not see them.

        Tokens of removed ones go; a space with ``tokens_for=`` makes those of new ones itself.

        Args:
            reranker: A `CrossModalReranker` or a `LateInteractionReranker`.
            progress: Called with (pictures and texts done, pictures and texts in all).

        Raises:
            RerankerError: As of `TokenMaker`. What is done is kept.
        """
        from unisem.ingest.token_making import TokenMaker

        return TokenMaker(reranker, self.path).fill(self.store, progress=progress)
