"""`RayIngestion`: which Ray cluster embeds what a space takes in, and how much of it is used."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from unisem.common.lazy import require
from unisem.encoders.base import Encoder
from unisem.encoders.loading import load_encoder
from unisem.errors import ClusterError
from unisem.ingest.intake import Intake
from unisem.ingest.ray.actors import RayActors
from unisem.ingest.ray.intake import RayIntake

_OBJECTS = 256 * 1024 * 1024  # bytes of pictures that a cluster of our own holds in memory

_LOOPBACK = "127.0.0.1"
_LOCAL = {
    # Ray's name for clusters of several machines, which it has on Linux unless told otherwise.
    # Without them it listens to this machine only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",  # else it tells its makers
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RayIngestion:
    """Encoders on the machines of a Ray cluster, for `SemanticSpace.add_folder` and ``ingest``.

    The program that is called reads, decides what is new, and is the only one that writes the
    space; actors decode pictures and embed. See ``docs/guides/ray.md``.

    Attributes:
        address: ``"HOST:PORT"`` of a cluster of which this machine is a node; ``"auto"`` for the
            one that this machine, or this program, belongs to; ``"local"`` for one that is begun
            here, listens to this machine only, and ends with the call.
        actors: How many processes hold the encoder; as many as the cluster has room for if
            ``None``.
        cpus: Cores of each.
        gpus: Graphics cards of each; may be a fraction.
        shared: The actors read pictures' files themselves, under the same paths. A picture that
            one cannot read, or that is another one by then, is read here.
        load: Gives an actor its encoder, which must be the space's; ``load_encoder`` by the
            space's name of it if ``None``, which looks on the actor's machine only.
        patience: Seconds without any actor after which the call is given up.

    Raises:
        ValueError: A number makes no sense, or the address is one of Ray Client, ``ray://``.
    """

    address: str = "auto"
    actors: int | None = None
    cpus: float = 1
    gpus: float = 0
    shared: bool = False
    load: Callable[[], Encoder] | None = None
    patience: float = 300

    def __post_init__(self) -> None:
        if self.address.startswith("ray://"):
            raise ValueError(
                f"{self.address!r} is an address of Ray Client; run this on a machine of the "
                'cluster, with address="auto"'
            )
        if self.actors is not None and self.actors < 1:
            raise ValueError(f"actors must be 1 at least, not {self.actors}")
        if self.cpus <= 0 or self.gpus < 0:
            raise ValueError(
                f"an actor needs a part of a core, not cpus={self.cpus} and gpus={self.gpus}"
            )

    def intake(self, intake: Intake) -> RayIntake:
        """The same way in, with encoders on the cluster.

        Raises:
            ClusterError: Ray is not installed; or that one makes a reranker's tokens, too, which
                actors do not.
        """
        try:
            require("embedding on a Ray cluster", "ray", "unisem[ray]")
        except ImportError as error:
            raise ClusterError(str(error)) from error
        if intake.tokens is not None:
            raise ClusterError(
                "actors of a Ray cluster make no tokens for a reranker; open the space without "
                "tokens_for=, and make them afterwards (unisem tokens)"
            )
        encoder = intake.encoder
        assert encoder is not None
        actors = RayActors(self, self._loader(encoder), encoder.fingerprint)
        return RayIntake(intake.image_library, encoder, actors)

    def _loader(self, encoder: Encoder) -> Callable[[], Encoder]:
        """What gives an actor the same encoder as this one."""
        if self.load is not None:
            return self.load
        # Ray hides the cards from who asked for none, in some versions only.
        device = None if self.gpus else "cpu"
        options = encoder.options.given
        return partial(load_encoder, encoder.name, device=device, local_only=True, **options)

    def room(self, resources: dict[str, float]) -> int:
        """How many actors there are to be on a cluster with these resources.

        Raises:
            ClusterError: There is not room for one.
        """
        cores, cards = resources.get("CPU", 0), resources.get("GPU", 0)
        most = int(cores / self.cpus)
        if self.gpus:
            most = min(most, int(cards / self.gpus))
        if self.actors is not None:  # a cluster that grows on demand may have none yet
            return self.actors
        if not most:
            raise ClusterError(
                f"an actor is to have {self.cpus:g} cores and {self.gpus:g} graphics cards, and "
                f"the whole cluster has {cores:g} and {cards:g}; ask for less, or say how many "
                "actors there are to be"
            )
        return most

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Ray, connected to the cluster; what was begun here ends with the block.

        Raises:
            ClusterError: There is no such cluster, or the program is connected to another.
        """
        if self.address == "local":
            for name, value in _LOCAL.items():  # some are read as Ray is imported
                os.environ.setdefault(name, value)
            # Other users of this machine reach its ports; of itself Ray keeps a token in a file.
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        import ray

        if ray.is_initialized():
            if self.address != "auto":
                raise ClusterError(
                    f"this program is connected to a Ray cluster already, and cannot use that at "
                    f'{self.address!r} as well; pass address="auto" to use the one that it has'
                )
            yield ray
            return
        settings: dict[str, Any] = {}
        if self.address == "local":
            settings = {"include_dashboard": False, "object_store_memory": _OBJECTS}
        try:
            ray.init(address=self.address, log_to_driver=False, logging_level="error", **settings)
        except Exception as error:  # Ray raises nothing narrower
            ray.shutdown()
            why = " ".join(str(error).split())[:300]
            raise ClusterError(
                f"a Ray cluster could not be begun here ({why}); a machine that is less busy may"
                if self.address == "local"
                else f"there is no Ray cluster at {self.address!r} ({why}); "
                "begin one with `ray start`, see docs/guides/ray.md, or use --ray local"
            ) from error
        try:
            if self.address == "local" and ray.util.get_node_ip_address() != _LOOPBACK:
                raise ClusterError(
                    "Ray was imported before this call, and so would listen to other machines; "
                    f"set {', '.join(f'{name}={value}' for name, value in _LOCAL.items())}"
                )
            yield ray
        finally:
            ray.shutdown()
