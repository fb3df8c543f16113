"""The loop: trainer, checkpoints, evaluation on the way, how far to go from the start model."""
