"""`BatchCaptioner`: a captioner that looks at opened pictures, several at once."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from itertools import islice

from PIL import Image

from unisem.captioners.base import Captioned, Captioner, tidy
from unisem.common.threads import in_order, workers
from unisem.errors import CaptionerError, ImageError
from unisem.images.reference import ImageSource, open_image, sources_as_list

_SIDE = 1024  # pixels; models look at fewer
_LOGGER = logging.getLogger(__name__)


class BatchCaptioner(Captioner):
    """Opens pictures in threads and hands them over in batches.

    A batch that the model fails on is tried again one by one, so that a strange picture costs
    nobody else anything. A subclass has `write`, a name and a fingerprint.
    """

    @abstractmethod
    def write(self, pictures: Sequence[Image.Image]) -> Sequence[str]:
        """Describe pictures, each with some text, ``""`` for nothing.

        Args:
            pictures: At most ``batch_size``, from `prepare_image`: upright RGB, no side longer than
                1,024 pixels.

        Raises:
            CaptionerError: The model fails on one of them.
        """

    def prepare_image(self, image: ImageSource) -> Image.Image:
        """Open one picture for `write`; threads do so side by side.

        Raises:
            ImageError: The picture cannot be used.
        """
        picture = open_image(image, min_side=_SIDE)
        if max(picture.size) > _SIDE:
            picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        return picture

    def load(self) -> None:
        """Make the model ready; called before pictures are opened.

        Raises:
            CaptionerError: It cannot be loaded.
        """
        return

    def caption(self, images: Sequence[ImageSource]) -> list[Captioned]:
        sources = sources_as_list(images)
        found: list[Captioned] = [None] * len(sources)
        if not sources:
            return found
        self.load()
        with workers("unisem-caption") as pool:
            jobs = (pool.submit(self._opened, source) for source in sources)
            opened = enumerate(in_order(jobs, self.batch_size))
            while batch := list(islice(opened, self.batch_size)):
                seen = [(place, it) for place, it in batch if isinstance(it, Image.Image)]
                for place, error in batch:
                    if isinstance(error, ImageError):
                        found[place] = error
                written = self._written([picture for _, picture in seen])
                for (place, _), words in zip(seen, written, strict=True):
                    found[place] = words
        return found

    def _written(self, pictures: list[Image.Image]) -> list[Captioned]:
        if not pictures:
            return []
        try:
            texts = list(self.write(pictures))
        except CaptionerError as error:
            if len(pictures) == 1:
                _LOGGER.warning("%s", error)
                return [error]
            return [self._written([picture])[0] for picture in pictures]
        if len(texts) != len(pictures):
            raise CaptionerError(
                f"the captioner {self.name!r} gave {len(texts)} texts for {len(pictures)} pictures"
            )
        return [tidy(text) for text in texts]

    def _opened(self, source: ImageSource) -> Image.Image | ImageError:
        try:
            return self.prepare_image(source)
        except ImageError as error:
            return error
