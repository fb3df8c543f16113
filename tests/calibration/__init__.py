"""Tests of unisem/calibration."""
