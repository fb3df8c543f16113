"""Weights that a model's files lack are an error: transformers puts random numbers there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisem.errors import UniSemError

if TYPE_CHECKING:
    from torch import Tensor

_LOADING = threading.RLock()  # what is wrapped while a model loads is the process's
_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False)
class LoadedNetwork:
    """A network of transformers as it came from its files.

    Attributes:
        network: The ``PreTrainedModel``.
        missing: Names of its weights that the files do not have, or have in another shape.
    """

    network: Any
    missing: frozenset[str]


@contextmanager
def quietly() -> Iterator[None]:
    """Files on a disk take a second; a bar per network is only noise on a user's terminal.

    So is the table of weights that a network has no use for; those that it lacks are an error of
    our own.
    """
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def watched_loading() -> Iterator[list[LoadedNetwork]]:
    """Note what every network that is loaded inside lacks; without bars and without reports.

    Gives a list that fills while models load. Networks may be parts of a larger model, of any
    library, as long as ``from_pretrained`` loads them. One thread loads at a time.
    """
    from transformers import PreTrainedModel

    found: list[LoadedNetwork] = []
    original: Any = PreTrainedModel.__dict__["from_pretrained"]

    def from_pretrained(
        cls: Any, /, *arguments: Any, output_loading_info: bool = False, **options: Any
    ) -> Any:
        load = original.__get__(None, cls)
        options = {"ignore_mismatched_sizes": True} | options  # they count as missing
        network, report = load(*arguments, output_loading_info=True, **options)
        missing = _lacking(report)
        adapters = getattr(network, "peft_config", None) or {}
        for adapter in adapters.values():  # of the network below it the report says nothing
            base = adapter.base_model_name_or_path
            options.pop("adapter_kwargs", None)
            missing |= _lacking(load(base, output_loading_info=True, **options)[1])
        found.append(LoadedNetwork(network, missing))
        return (network, report) if output_loading_info else network

    with _LOADING, quietly():
        PreTrainedModel.from_pretrained = classmethod(from_pretrained)
        try:
            yield found
        finally:
            PreTrainedModel.from_pretrained = original


def refuse_random_weights(
    loaded: Iterable[LoadedNetwork],
    outputs: Callable[[], Iterable[Tensor]],
    *,
    what: str,
    failure: type[UniSemError],
) -> None:
    """Refuse a model some of whose outputs depend on weights that its files lack.

    What no output depends on may be absent, such as a pooler behind the layer that is pooled.

    Args:
        loaded: From `watched_loading`.
        outputs: Runs the model on an input of each kind that it takes.
        what: What to call the model in an error.
        failure: The error to raise.
    """
    absent = [pair for one in loaded for pair in _absent(one)]
    used = _used(absent, outputs) if absent else []
    if used:
        named = ", ".join(used[:_NAMED])
        more = f" and {len(used) - _NAMED:,} more" if len(used) > _NAMED else ""
        raise failure(
            f"{what} is not whole: its files lack {named}{more}, or have it in another shape, and "
            "random numbers would stand there. Fetch or save it again, whole"
        )


def refuse_adapter_within(directory: Path, what: str, failure: type[UniSemError]) -> None:
    """Refuse a folder that holds both a network and an adapter to it, of which one is overlooked.

    Raises:
        UniSemError: Of the kind ``failure``.
    """
    for adapter in directory.rglob("adapter_config.json"):
        if adapter.with_name("config.json").is_file():
            raise failure(
                f"{what} has an adapter and the network that it adapts in one folder; merge them "
                "(merge_and_unload()) and save the result"
            )


def _lacking(report: dict[str, Any]) -> frozenset[str]:
    return frozenset(report["missing_keys"]) | {name for name, *_ in report["mismatched_keys"]}


def _absent(one: LoadedNetwork) -> Iterator[tuple[str, Tensor]]:
    if not one.missing:
        return
    weights: dict[str, Tensor] = dict(one.network.named_parameters(remove_duplicate=False))
    weights |= dict(one.network.named_buffers(remove_duplicate=False))
    for name, weight in weights.items():
        if name in one.missing or name.replace(".base_layer.", ".") in one.missing:
            yield name, weight


def _used(absent: list[tuple[str, Tensor]], outputs: Callable[[], Iterable[Tensor]]) -> list[str]:
    """The names of those that have a gradient, and of buffers; all, if the model does not run."""
    import torch

    floating = [(name, weight) for name, weight in absent if weight.is_floating_point()]
    trained = [weight for _, weight in floating if isinstance(weight, torch.nn.Parameter)]
    idle = {id(weight) for weight in trained}
    try:
        with torch.inference_mode(False), torch.enable_grad():
            for output in outputs() if trained else ():
                gradients = torch.autograd.grad(output.float().sum(), trained, allow_unused=True)
                for weight, gradient in zip(trained, gradients, strict=True):
                    if gradient is not None:
                        idle.discard(id(weight))
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        idle = set()
    return sorted(name for name, weight in floating if id(weight) not in idle)
