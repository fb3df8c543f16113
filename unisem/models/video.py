"""Models that see films as well: what prepares films needs torchvision, and pictures do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TORCHVISION = (
    "prepares pictures with torchvision alone, which is not installed; install the torchvision "
    "that belongs to your torch (https://pytorch.org/get-started/locally)"
)
"""What is wrong with a model for which transformers has no processor of Pillow's."""


@contextmanager
def without_video() -> Iterator[None]:
    """Let processors load whose part for films needs torchvision, where there is none.

    Qwen3-VL, EmbeddingGemma 2 and their kin take pictures, which Pillow prepares, and films, for
    which transformers needs torchvision; without it the whole processor would not load. Inside, a
    stand-in takes the place of that part. It keeps the part's settings, so that what is saved again
    is whole, and it prepares nothing.

    Not for several threads: what is exchanged is the process's.
    """
    from transformers import processing_utils
    from transformers.models.auto import video_processing_auto
    from transformers.utils import is_torchvision_available

    if is_torchvision_available():
        yield
        return
    finder: Any = video_processing_auto
    bases: dict[str, Any] = processing_utils.MODALITY_TO_BASE_CLASS_MAPPING
    before = finder.AutoVideoProcessor, bases["video_processor"]
    finder.AutoVideoProcessor = _stand_in()
    bases["video_processor"] = "ImageProcessingMixin"  # the base of its base, which is there
    try:
        yield
    finally:
        finder.AutoVideoProcessor, bases["video_processor"] = before


def needs_torchvision(error: BaseException) -> bool:
    """Whether an error over files that do not load comes from torchvision's absence."""
    from transformers.utils import is_torchvision_available

    return "torchvision" in str(error).lower() and not is_torchvision_available()


def _stand_in() -> type[Any]:
    from transformers.video_processing_utils import VideoProcessorMixin

    class SettingsOnly(VideoProcessorMixin):  # type: ignore[misc, unused-ignore]
        """Settings of a part that is not here."""

        model_input_names: list[str] = []  # noqa: RUF012 - transformers' own form

        def preprocess(self, videos: Any, **kwargs: Any) -> Any:
            raise ImportError("films need torchvision, which is not installed")

        def to_dict(self) -> dict[str, Any]:
            settings: dict[str, Any] = super().to_dict()
            return settings | {"video_processor_type": getattr(self, "video_processor_type", None)}

    return SettingsOnly
