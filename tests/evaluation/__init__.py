"""Tests of unisem/evaluation."""
