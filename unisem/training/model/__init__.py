"""The model that is trained: its parts, what is frozen, how it is saved."""
