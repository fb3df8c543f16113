"""Clients of other languages, and of others, against the service."""
