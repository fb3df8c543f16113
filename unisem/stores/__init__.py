"""Stores: keep records and their vectors durably and search them with exact filters."""

from unisem.stores.base import Store
from unisem.stores.kind import StoreKind
from unisem.stores.registry import register

__all__ = ["Store", "StoreKind", "register"]
