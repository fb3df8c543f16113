"""The service over HTTP: one file a group of routes, each of which translates and asks the core."""

from unisem.common.lazy import require

require("unisem.service.http", "fastapi", "unisem[service]")
