"""Side-by-side measurements: each module is one command, each prints a table."""
