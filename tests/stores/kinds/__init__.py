"""Tests of unisem/stores."""
