"""`ModalityCutoff`: a similarity cutoff with a threshold for each modality."""

from __future__ import annotations

from llama_index.core.bridge.pydantic import Field
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle

from llama_index_unisem.node_images import has_image


class ModalityCutoff(BaseNodePostprocessor):
    """Drop hits whose score is below the cutoff of their modality.

    An encoder's scores of texts and of pictures lie in different ranges, so that one cutoff for
    both lets poor hits of one kind pass, or drops good ones of the other. A kind without a cutoff
    is kept whole. A hit without a score is dropped if its kind has a cutoff, as LlamaIndex's
    ``SimilarityPostprocessor`` does, and so is one whose score is not a number.

    >>> from llama_index.core.schema import ImageNode, NodeWithScore, TextNode
    >>> hits = [
    ...     NodeWithScore(node=TextNode(text="a tiger"), score=0.4),
    ...     NodeWithScore(node=ImageNode(image_path="tiger.jpg"), score=0.3),
    ... ]
    >>> cutoff = ModalityCutoff(text_cutoff=0.5, image_cutoff=0.2)
    >>> [hit.score for hit in cutoff.postprocess_nodes(hits)]
    [0.3]
    """

    text_cutoff: float | None = Field(
        default=None, allow_inf_nan=False, description="Least score of a node without a picture."
    )
    image_cutoff: float | None = Field(
        default=None, allow_inf_nan=False, description="Least score of a picture."
    )
    captioned_cutoff: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Least score of a picture with a caption; image_cutoff if None.",
    )

    @classmethod
    def class_name(cls) -> str:
        """Its name in serialised form."""
        return "ModalityCutoff"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return [hit for hit in nodes if self._passes(hit)]

    def _passes(self, hit: NodeWithScore) -> bool:
        cutoff = self._cutoff(hit.node)
        return cutoff is None or (hit.score is not None and hit.score >= cutoff)

    def _cutoff(self, node: BaseNode) -> float | None:
        if not has_image(node):
            return self.text_cutoff
        if self.captioned_cutoff is not None and node.get_content(MetadataMode.NONE):
            return self.captioned_cutoff
        return self.image_cutoff
