"""One corpus and one set of questions through the core and both frameworks, against NumPy."""
