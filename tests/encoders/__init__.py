"""Tests of unisem/encoders."""
