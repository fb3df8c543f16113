"""`UniSemReranker`: nodes of any retriever in the order of a UniSem reranker."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle

from llama_index_unisem.events import reranking_events
from llama_index_unisem.node_images import confined_image
from llama_index_unisem.nodes import UniSemImageNode, search_score, words_of
from llama_index_unisem.retrievers.bundles import image_of
from unisem.errors import ImageError
from unisem.images.reference import ImageRef
from unisem.presentation.contents import LEFT_OUT, as_found
from unisem.records import Modality, Record
from unisem.rerank import Reranker
from unisem.search.reranking import Reranking

if TYPE_CHECKING:
    from unisem.space import SemanticSpace

RETRIEVAL_SCORE = "retrieval_score"
"""Where LlamaIndex's rerankers keep the score that the retriever gave."""

_log = logging.getLogger(__name__)


class UniSemReranker(BaseNodePostprocessor):
    """Put texts and pictures in the order of a model that reads each one with the query.

    A node is judged by its text and, if the model sees pictures, by its picture. The query's
    picture (``QueryBundle.image_path``, or an `ImageQueryBundle`) is judged as well. Nodes that
    the model does not judge (a picture without caption, and a model that reads texts only) keep
    their places, with the score of the node before; if it judges none of them all keep order and
    score. Nodes are never changed: what differs is a copy. See docs/guides/rerankers.md.

    A retrieval's limit of pictures that a chat model is shown goes by the new order.
    """

    model: str = Field(description="The cross encoder: a directory or a hub id.")
    top_n: int | None = Field(
        default=None, ge=1, strict=True, description="Nodes at most; all of them if None."
    )
    keep_retrieval_score: bool = Field(
        default=False, description="Keep the retriever's score in metadata['retrieval_score']."
    )
    metadata_mode: MetadataMode = Field(
        default=MetadataMode.NONE,
        description="Which metadata are judged with a node's text; LlamaIndex's own use EMBED.",
    )
    image_roots: list[str] = Field(
        default_factory=list,
        description="Folders from which pictures of other retrievers' nodes may be read.",
    )
    modalities: list[Literal["text", "image"]] | None = Field(
        default=None, description="What is judged, by what nodes are; the rest keep their places."
    )
    seconds: float | None = Field(
        default=None, gt=0, description="How long a query's nodes may take; as long as it takes."
    )
    search_weight: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="The share of the retriever's own scores in the order, whatever the model's "
        "calibration says.",
    )
    device: str | None = Field(default=None, description="Where a model that was named computes.")
    dtype: str = Field(default="float32", description="In which precision it computes.")
    _reranking: Reranking = PrivateAttr()
    _space: SemanticSpace | None = PrivateAttr()

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        reranker: Reranker | Reranking | None = None,
        space: SemanticSpace | None = None,
        top_n: int | None = None,
        keep_retrieval_score: bool = False,
        metadata_mode: MetadataMode | Literal["all", "embed", "llm", "none"] = MetadataMode.NONE,
        image_roots: Sequence[str | os.PathLike[str]] = (),
        modalities: Sequence[Modality] | None = None,
        seconds: float | None = None,
        search_weight: float | None = None,
        device: str | None = None,
        dtype: str = "float32",
        callback_manager: CallbackManager | None = None,
    ) -> None:
        """Find the model; its weights are loaded when it first scores.

        Args:
            model: A directory with a cross encoder, or a hub id; see `load_reranker`.
            reranker: A reranker, or a `Reranking` of one, instead of a name.
            space: Where pictures are looked up by the nodes' ids. A `UniSemRetriever`'s nodes
                bring their own, those of an index over a space's vectors need not.
            top_n: As the field.
            keep_retrieval_score: As the field. The key is excluded from what models are shown.
            metadata_mode: As the field.
            image_roots: As the field. A picture elsewhere is judged by its caption.
            modalities: As the field: ``"image"`` is a node with a picture, ``"text"`` any other.
            seconds: As the field.
            search_weight: As the field.
            device: As the field.
            dtype: As the field.
            callback_manager: As in every LlamaIndex component.

        Raises:
            RerankerError: No such model.
            TypeError: ``reranker`` is no `Reranker`, ``space`` no `SemanticSpace`, or
                ``image_roots`` one folder.
            ValueError: No model at all, a name and a reranker of another name, or an argument out
                of range.
        """
        name = None if model is None else os.fspath(model)
        if reranker is None:
            if name is None:
                raise ValueError("say which model reranks: model=, a directory or a hub id")
            encoder = None if space is None else space.encoder
            reranker = Reranking.load(
                name, search_weight=search_weight, device=device, dtype=dtype, encoder=encoder
            )
        reranking = Reranking.of(reranker)
        if name not in (None, reranking.name):
            raise ValueError(
                f"model={name!r} and reranker={reranking.name!r} differ; give one of them"
            )
        from unisem.space import SemanticSpace

        if space is not None and not isinstance(space, SemanticSpace):
            raise TypeError(f"space must be a unisem.SemanticSpace, not {type(space).__name__}")
        if isinstance(image_roots, str | os.PathLike):
            raise TypeError("image_roots must be a list of folders, not one")
        super().__init__(  # type: ignore[call-arg]  # the base states no fields
            model=reranking.name,
            top_n=top_n,
            keep_retrieval_score=keep_retrieval_score,
            metadata_mode=metadata_mode,
            image_roots=[os.fspath(root) for root in image_roots],
            modalities=None if modalities is None else list(modalities),
            seconds=seconds,
            search_weight=search_weight,
            device=device,
            dtype=dtype,
            callback_manager=callback_manager or CallbackManager([]),
        )
        if self.modalities is not None:
            reranking = replace(reranking, modalities=self.modalities)
        if self.seconds is not None:
            reranking = replace(reranking, seconds=self.seconds)
        if self.search_weight is not None:
            reranking = reranking.weighted(self.search_weight)
        self._reranking = reranking.at(None if space is None else space.path)
        self._space = space

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "UniSemReranker"

    @property
    def reranker(self) -> Reranker:
        """What scores."""
        return self._reranking.reranker

    def __setstate__(self, state: dict[str, Any]) -> None:
        private = state.get("__pydantic_private__") or {}
        self.__init__(reranker=private.get("_reranking"), **state["__dict__"])  # type: ignore[misc]

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> UniSemReranker:
        memo = {} if memo is None else memo
        for shared in (self._reranking, self._space):  # large, and full of locks
            memo[id(shared)] = shared
        return super().__deepcopy__(memo)

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("a reranker needs the query: pass query_bundle or query_str")
        text, image = query_bundle.query_str or None, image_of(query_bundle)
        if text is None and image is None:
            raise ValueError("the query has neither query_str nor picture; a reranker reads both")
        if not nodes:
            return []
        top_n = len(nodes) if self.top_n is None else self.top_n
        with reranking_events(
            self.callback_manager, query_bundle.query_str, nodes, self.model, top_n
        ) as best:
            asked = None if image is None else ImageRef.of(image)
            own = self._reranking.mixable([search_score(node) for node in nodes])
            ranked = self._reranking.rank(text, asked, self._records(nodes), own)[:top_n]
            scored = [self._scored(nodes[one.position], one.score) for one in ranked]
            best += _share_anew(nodes, scored)
        return best

    def _records(self, nodes: Sequence[NodeWithScore]) -> list[Record]:
        found: Sequence[Record | None] = [None] * len(nodes)
        if self._space is not None:
            found = self._space.get([hit.node.node_id for hit in nodes])
        return [self._record(hit.node, known) for hit, known in zip(nodes, found, strict=True)]

    def _record(self, node: BaseNode, known: Record | None) -> Record:
        """What is judged: the node's text as it is now, and its picture."""
        image = known.image if known is not None and _is_the_one_found(node, known) else None
        if image is None:
            picture = confined_image(node, self.image_roots)
            if isinstance(picture, ImageError):
                _log.warning("the picture of %r is not judged: %s", node.node_id, picture)
            else:
                image = picture
        # Metadata around an empty caption would be judged in the picture's place.
        text = node.get_content(MetadataMode.NONE)
        if text.strip() and self.metadata_mode != MetadataMode.NONE:
            text = words_of(node, self.metadata_mode)
        return Record.restored(
            id=node.node_id,
            text=text.encode("utf-8", "replace").decode("utf-8"),
            image=image,
            metadata=node.metadata,
            source_id=node.ref_doc_id,
            links={},
            payload={},
        )

    def _scored(self, hit: NodeWithScore, score: float | None) -> NodeWithScore:
        node = hit.node
        if self.keep_retrieval_score:
            node = node.model_copy(
                update={
                    "metadata": {**node.metadata, RETRIEVAL_SCORE: hit.score},
                    "excluded_embed_metadata_keys": [
                        *node.excluded_embed_metadata_keys,
                        RETRIEVAL_SCORE,
                    ],
                    "excluded_llm_metadata_keys": [
                        *node.excluded_llm_metadata_keys,
                        RETRIEVAL_SCORE,
                    ],
                }
            )
        return hit.model_copy(update={"node": node, "score": hit.score if score is None else score})


def _is_the_one_found(node: BaseNode, known: Record) -> bool:
    """Whether a record of the node's id has the picture that was found, and not a later one."""
    if isinstance(node, UniSemImageNode) and node.image_sha256 is not None:
        return as_found(known, node.image_sha256) is not None
    return True  # a node of another store does not say which picture was found


def _share_anew(
    before: Sequence[NodeWithScore], after: Sequence[NodeWithScore]
) -> list[NodeWithScore]:
    """Give the places for pictures in a message to the nodes that are the first ones now.

    A `UniSemImageNode` keeps whether it is among the pictures that its retrieval sends, which was
    decided by the old order.
    """
    pictures = [hit.node for hit in before if isinstance(hit.node, UniSemImageNode)]
    left_out = [reason for node in pictures if (reason := _left_out(node)) is not None]
    places = sum(node.image_omitted is None for node in pictures)
    shared = []
    for hit in after:
        node = hit.node
        if left_out and isinstance(node, UniSemImageNode):
            reason = None if places > 0 else left_out[0]
            if node.image_omitted is None or _left_out(node) is not None:
                places -= 1
                if reason != node.image_omitted:
                    copied = node.model_copy(update={"image_omitted": reason})
                    hit = hit.model_copy(update={"node": copied})
        shared.append(hit)
    return shared


def _left_out(node: UniSemImageNode) -> str | None:
    reason = node.image_omitted
    return reason if reason is not None and reason.startswith(LEFT_OUT) else None
