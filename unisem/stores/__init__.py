"""Stores: keep records and their vectors durably and search them with exact filters."""

from unisem.stores.base import Store

__all__ = ["Store"]
