"""Recipes of the shipped artefacts; developers run them, users need none."""
