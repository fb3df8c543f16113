"""Tests of unisem/readers."""
