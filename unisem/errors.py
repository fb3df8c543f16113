"""Every error that UniSem raises on purpose, so that a caller can catch one name.

Each message says what was wrong with which input and what to do about it. Errors that the
standard library already names well (``ValueError`` for a bad argument, ``KeyError`` …) are base
classes where that lets existing ``except`` clauses work.
"""

from __future__ import annotations


class UniSemError(Exception):
    """Base class of all errors raised by UniSem."""


class MissingImportError(UniSemError, ImportError):
    """A package that something stands on, and that is not installed."""


class ImageError(UniSemError, ValueError):
    """A picture that cannot be used: missing, outside its root, damaged, too large, no picture.

    Attributes:
        name: The picture, usually its path.
        summary: What is wrong, without paths or the system's words; fit for a chat model.
        reason: What is wrong and what to do, for the user.
        again: Whether another try may do better, as time or memory ran out.
    """

    def __init__(self, name: str, summary: str, detail: str = "", *, again: bool = False) -> None:
        super().__init__(f"{name}: {summary}{detail}")
        self.name = name
        self.summary = summary
        self.reason = f"{summary}{detail}"
        self.again = again

    def named(self, name: str) -> ImageError:
        """The same of a picture under the name by which the user knows it."""
        detail = self.reason.removeprefix(self.summary)
        return ImageError(name, self.summary, detail, again=self.again)

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str, str], dict[str, bool]]:
        detail = self.reason.removeprefix(self.summary)
        return type(self), (self.name, self.summary, detail), {"again": self.again}


class RecordError(UniSemError, ValueError):
    """A record that cannot be stored: empty, a bad id, metadata that is not JSON."""


class GraphError(UniSemError, ValueError):
    """An entity, a relation or a mention that cannot be kept, or triples that cannot be read."""


class DocumentError(UniSemError, ValueError):
    """A document of which nothing can be read: damaged, of another format, needs a password."""


class FilterError(UniSemError, ValueError):
    """A filter that means nothing: unknown operator, value of the wrong type."""


class EncoderError(UniSemError):
    """A model that cannot be loaded or does not do what was asked of it."""


class ModalityError(EncoderError):
    """An encoder of texts only, or of pictures only, was to embed the other."""


class EncoderMismatchError(EncoderError):
    """A space was built with one encoder and opened with another."""


class CalibrationError(UniSemError, ValueError):
    """A calibration that cannot be fitted, is damaged, or does not fit the vectors."""


class TrainingError(UniSemError):
    """A training run that cannot start or cannot go on; the last checkpoint is untouched."""


class LabelError(UniSemError, ValueError):
    """A caption that cannot be asked for, written down or taken back; what is written stays."""


class BenchmarkError(UniSemError, ValueError):
    """A benchmark whose files are missing, malformed or do not belong together."""


class RerankerError(UniSemError):
    """A reranker that cannot be loaded or cannot judge what it is asked."""


class CaptionerError(UniSemError):
    """A captioner that cannot be loaded, cannot be reached, or fails on a picture."""


class RecognizerError(UniSemError):
    """A recogniser of text in pictures that cannot be loaded, or fails whatever the picture."""


class StoreError(UniSemError):
    """A store that cannot do what was asked; what was stored before is untouched."""


class VectorError(StoreError, ValueError):
    """A vector that cannot be stored or compared: wrong dimension, zero, not finite, misshapen."""


class StoreLockedError(StoreError):
    """Another process is writing to this space."""


class CorruptStoreError(StoreError):
    """A catalogue that is damaged or was written by a newer version."""


class ServiceError(StoreError):
    """A service that cannot be reached, refuses, is busy, or answers what it should not.

    Attributes:
        status: The HTTP status, if it has answered by one.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ClusterError(UniSemError):
    """A cluster of machines that cannot be reached, or has no room for what is to run there."""


class ExchangeError(UniSemError, ValueError):
    """An export that cannot be written, or an import that is damaged, hostile or does not fit."""
