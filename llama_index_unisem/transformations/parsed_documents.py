"""`ParsedDocuments`: pages and figures that another tool has parsed, pictures with their words."""

from __future__ import annotations

import logging
import os
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    TextNode,
    TransformComponent,
)

from llama_index_unisem.node_images import has_image
from llama_index_unisem.nodes import parts_of
from unisem.common.skipped import Skipped
from unisem.common.threads import InThread
from unisem.errors import ImageError
from unisem.images.reference import ImageRef
from unisem.ingest.intake import Intake
from unisem.readers.documents.parsed import ParsedPart, parsed_part

_log = logging.getLogger(__name__)


class ParsedDocuments(TransformComponent):
    """Takes nodes that other readers made, with the pictures that their metadata speak of.

    For a pipeline, before splitters, which `TextsOnly` leads round the pictures. A node whose
    picture can be used becomes an `ImageNode` of the same id. What cannot be used is logged; its
    node keeps its words, and one that has none is left out. Which names in metadata are
    understood, and what they become, is said by `unisem.readers.documents.parsed.parsed_part`.

    >>> from llama_index.core.schema import Document
    >>> from llama_index_unisem import ParsedDocuments
    >>> page = Document(text="a page", metadata={"page_num": 3, "file_path": "x/manual.pdf"})
    >>> (node,) = ParsedDocuments(".")([page])
    >>> node.metadata["page_label"], node.metadata["file_name"]
    ('3', 'manual.pdf')
    """

    root: str = Field(description="The folder that pictures must lie in.")
    first_page: int = Field(default=1, description="What ``page`` counts from in the metadata.")

    def __init__(self, root: str | os.PathLike[str], *, first_page: int = 1) -> None:
        """Name the folder.

        Args:
            root: As the field: where the tool has written its pictures.
            first_page: As the field: 1, as LlamaIndex's readers do, or 0.

        Raises:
            NotADirectoryError: There is no such folder.
        """
        if not os.path.isdir(root):
            raise NotADirectoryError(f"{os.fspath(root)} is not a folder")
        super().__init__(root=os.path.realpath(root), first_page=first_page)  # type: ignore[call-arg]

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "ParsedDocuments"

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Return the nodes, in their order.

        Args:
            nodes: Of readers that parse documents.
            **kwargs: None.
        """
        found = map(self._transformed, nodes)
        return [node for node in found if node is not None]

    acall = InThread(__call__).twin

    def _transformed(self, node: BaseNode) -> BaseNode | None:
        part = parsed_part(
            node.get_content(MetadataMode.NONE),
            node.metadata,
            root=self.root,
            first_page=self.first_page,
        )
        image = part.image
        if has_image(node):  # its own counts
            return _with(node, part)
        if isinstance(image, ImageRef):
            image = _inspected(image)
        if isinstance(image, ImageRef):
            return _picture_node(node, part, image)
        if image is not None:
            _log.warning("%s is left out: %s", image.name, image.reason)
            if not part.text.strip():
                return None
        return _with(node, part)


def _inspected(image: ImageRef) -> ImageRef | Skipped:
    try:
        return Intake().inspect(image)
    except ImageError as error:
        return Skipped.of(error)


def _with(node: BaseNode, part: ParsedPart) -> BaseNode:
    update: dict[str, Any] = {"metadata": part.metadata}
    if isinstance(node, TextNode):
        update["text"] = part.text
    elif isinstance(node, Node):
        update["text_resource"] = MediaResource(text=part.text)
    return node.model_copy(update=update)


def _picture_node(node: BaseNode, part: ParsedPart, image: ImageRef) -> ImageNode:
    parts = {**parts_of(node), "text": part.text, "metadata": part.metadata}
    if isinstance(node, Document):
        source = node.source_node or node.as_related_node_info()
        parts["relationships"][NodeRelationship.SOURCE] = source
    return ImageNode(
        **parts,
        image=None if image.data is None else b64encode(image.data).decode(),
        image_path=None if image.path is None else str(image.path),
        image_mimetype=image.mime_type,
    )
