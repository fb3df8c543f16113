"""Tests, one folder for each package, the core at the top."""
