"""`CaptionRun`: many pictures, batch by batch, and what is counted and given up on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unisem.captioners.base import Captioner
from unisem.captioners.cached import CachedCaptioner
from unisem.common.skipped import Skipped
from unisem.errors import CaptionerError, ImageError
from unisem.images.reference import ImageRef

_HOPELESS = 16  # pictures that a model fails on one after the other before it is given up


class CaptionRun:
    """Asks a captioner about pictures, each picture once.

    Args:
        captioner: Writes the captions.
        on_skip: Called with each picture that cannot be captioned, and why.

    Attributes:
        captioner: The captioner, which keeps what it wrote.
        wordless: Pictures so far that there was nothing to say of.
    """

    def __init__(self, captioner: Captioner, on_skip: Callable[[Skipped], object]) -> None:
        known = isinstance(captioner, CachedCaptioner)
        self.captioner = captioner if known else CachedCaptioner(captioner)
        self.wordless = 0
        self._on_skip = on_skip
        self._failed = 0

    def all(self, images: Sequence[ImageRef | ImageError]) -> list[str | None]:
        """As `batch`, of as many as there are."""
        size = self.captioner.batch_size
        found: list[str | None] = []
        for start in range(0, len(images), size):
            found += self.batch(images[start : start + size])
        return found

    def batch(self, images: Sequence[ImageRef | ImageError]) -> list[str | None]:
        """The captions of pictures, in order; ``None`` for one that gets none.

        Args:
            images: Pictures, or why there is none to be read.

        Raises:
            CaptionerError: The captioner does not load, or has failed on 16 pictures running.
        """
        readable = [image for image in images if isinstance(image, ImageRef)]
        answers = iter(self.captioner.caption(readable))
        found: list[str | None] = []
        for image in images:
            answer = next(answers) if isinstance(image, ImageRef) else image
            if isinstance(answer, CaptionerError):
                self._count_failure(answer)
                assert isinstance(image, ImageRef)
                self._on_skip(Skipped(image.name, str(answer)))
            else:
                self._failed = 0
            if isinstance(answer, ImageError):
                self._on_skip(Skipped.of(answer))
            self.wordless += answer is None
            found.append(answer if isinstance(answer, str) else None)
        return found

    def _count_failure(self, error: CaptionerError) -> None:
        self._failed += 1
        if self._failed >= _HOPELESS:
            raise CaptionerError(
                f"the captioner {self.captioner.name!r} has failed on {self._failed} pictures "
                f"running, and is given up; what is done is kept. The last reason: {error}"
            )
