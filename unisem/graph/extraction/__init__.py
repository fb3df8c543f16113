"""Entities and relations that a chat model finds in texts."""
