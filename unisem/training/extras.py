"""`require_libraries`: what training needs is installed, or said before any work is done."""

from __future__ import annotations

from importlib.util import find_spec

from unisem.errors import TrainingError


def require_libraries(*, tensorboard: bool = False) -> None:
    """Look for the libraries of training without importing them.

    Args:
        tensorboard: TensorBoard's files are wanted, too.

    Raises:
        TrainingError: One is not installed; says what to install.
    """
    missing = [name for name in ("accelerate", "datasets") if find_spec(name) is None]
    if missing:
        raise TrainingError(f"training needs {' and '.join(missing)}: pip install 'unisem[train]'")
    if tensorboard and find_spec("tensorboard") is None:
        raise TrainingError("TensorBoard's files need pip install tensorboard")
