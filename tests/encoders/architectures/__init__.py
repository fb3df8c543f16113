"""Encoders of this year's architectures, tiny and random, beside transformers' own computation."""
