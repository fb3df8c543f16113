"""`LocalModel`: a model's directory, of which the weights are loaded at the first use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from unisem.common.forks import Carried, Mutex, keep_for_ever, one_thread
from unisem.errors import UniSemError
from unisem.models.loading import load_offline

if TYPE_CHECKING:
    from torch import Tensor


class LocalModel(Carried):
    """What encoders and rerankers that torch runs have in common.

    Threads may share one, a forked process loads anew what was on an accelerator, and a copy in
    another process finds the files again and loads the weights itself.

    Args:
        name: What to call the model.
        directory: Its files, weights as safetensors.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the best one present if ``None``.
        dtype: Name of the floating type to compute in.
        attention: How attention is computed, by transformers' names; as the model does if ``None``.

    Attributes:
        directory: The model's files.
        role: What it is in an error: ``encoder``.
        failure: The error to raise where the files do not load.

    Raises:
        ValueError: There is no such floating type.
    """

    role: ClassVar[str]
    failure: ClassVar[type[UniSemError]]

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        device: str | None = None,
        dtype: str = "float32",
        attention: str | None = None,
    ) -> None:
        if dtype not in ("float32", "float16", "bfloat16"):
            raise ValueError(f"dtype must be float32, float16 or bfloat16, not {dtype!r}")
        self.directory = directory
        self._name = name
        self._device = device
        self._dtype = dtype
        self._attention = attention
        self._lock = Mutex()  # tokenizers cannot be shared between running calls
        self._model: Any = None
        self.follow_forks()

    def begin_anew(self) -> None:
        """In a forked child the model computes in one thread; one on an accelerator is lost."""
        one_thread("torch")
        if self._model is not None and self._model.device.type != "cpu":
            keep_for_ever(self._model)
            self._model = None  # the next use says what torch says of it

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._settings()), (self._name, self.directory)

    def _settings(self) -> dict[str, Any]:
        """The keyword arguments that make this model anew."""
        return {"device": self._device, "dtype": self._dtype}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @property
    def name(self) -> str:
        """What a person calls the model: the directory or hub id that was named."""
        return self._name

    @property
    def model(self) -> Any:
        """The loaded model, in evaluation mode.

        Raises:
            UniSemError: The files do not load.
        """
        if self._model is None:
            with self._lock:
                if self._model is None:  # no other thread was faster
                    self._model = self._load()
        return self._model

    @abstractmethod
    def _load(self) -> Any:
        """Load the model; one thread at a time does."""

    def _from_files(
        self, architecture: Callable[..., Any], outputs: Callable[[Any], Iterable[Tensor]]
    ) -> Any:
        """Load the model without network and foreign code; the arguments are `load_offline`'s."""
        return load_offline(
            architecture,
            self.directory,
            device=self._device,
            dtype=self._dtype,
            attention=self._attention,
            what=f"the {self.role} {self._name!r}",
            failure=self.failure,
            outputs=outputs,
        )
