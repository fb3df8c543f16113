"""`CaptionImages`: documents of pictures get captions on their way from a loader to a store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from langchain_core.documents import BaseDocumentTransformer, Document

from langchain_unisem.document_loaders.folder import OnSkip, log_skipped
from langchain_unisem.image_documents import image_of
from langchain_unisem.metadata import IMAGE_KEY
from unisem.captioners import Captioner, load_captioner
from unisem.captioners.caption_run import CaptionRun
from unisem.captions import marks_of
from unisem.common.threads import InThread
from unisem.errors import ImageError, RecordError
from unisem.images.reference import ImageRef


class CaptionImages(BaseDocumentTransformer):
    """Write captions for documents that stand for a picture and say nothing.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        captioner: A `unisem.captioners.Captioner`, such as `ChatModelCaptioner`, or a name for
            `unisem.captioners.load_captioner`. A `CachedCaptioner` with a file keeps what was
            written from one run to the next.
        image_roots: Folders that pictures may be read from: those that your loader reads.
        on_skip: Called with each picture that cannot be captioned, as `Skipped`; it keeps its
            document. By default they are logged.

    Instantiate:
        ```python
        from langchain_unisem import CaptionImages

        captions = CaptionImages("models/blip", image_roots=["photos/"])
        ```

    Use between loading and adding:
        ```python
        store.add_documents(captions.transform_documents(loader.load()))
        ```

    A caption becomes ``page_content``, and ``caption_generated_by`` and ``caption_sha256`` in the
    metadata say that it is generated, as in a space. Documents come back in their order; those with
    words, and texts, as they are. A file is read only if it still has the document's digest.

    Raises:
        CaptionerError: There is no such captioner; later, if it fails on 16 pictures running.
    """

    def __init__(
        self,
        captioner: Captioner | str,
        *,
        image_roots: Sequence[str | os.PathLike[str]],
        on_skip: OnSkip | None = None,
    ) -> None:
        if isinstance(image_roots, str | os.PathLike):
            raise TypeError(f"image_roots must be a list, for example [{str(image_roots)!r}]")
        self._captioner = load_captioner(captioner)
        self._roots = list(image_roots)
        self._on_skip = log_skipped if on_skip is None else on_skip

    def transform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """Return the documents, those of wordless pictures as copies with captions.

        Args:
            documents: Of `ImageFolderLoader`, `ImageBlobParser` or `image_document`, and others.
            **kwargs: None.
        """
        found = list(documents)
        waiting = [place for place, document in enumerate(found) if _lacks_caption(document)]
        images = [self._image(found[place]) for place in waiting]
        captions = CaptionRun(self._captioner, self._on_skip).all(images)
        for place, caption in zip(waiting, captions, strict=True):
            if caption is not None:
                document = found[place]
                marks = marks_of(caption, self._captioner.name)
                found[place] = document.model_copy(
                    update={"page_content": caption, "metadata": {**document.metadata, **marks}}
                )
        return found

    atransform_documents = InThread(transform_documents).twin

    def _image(self, document: Document) -> ImageRef | ImageError:
        try:
            image = image_of(document)
            assert image is not None
            return image.confined(self._roots)
        except ImageError as error:
            return error
        except RecordError as error:
            return ImageError(str(document.id), "cannot be read", f" ({error})")


def _lacks_caption(document: Document) -> bool:
    return document.metadata.get(IMAGE_KEY) is not None and not document.page_content.strip()
