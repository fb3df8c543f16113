"""Writers that are killed in the middle of things, and what must be true afterwards."""
