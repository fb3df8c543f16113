"""A space published as immutable versions, opened by many: see ``docs/guides/replicas.md``."""

from unisem.exchange.replicas.publishing import PublishReport, publish_space
from unisem.exchange.replicas.replica import Replica

__all__ = ["PublishReport", "Replica", "publish_space"]
