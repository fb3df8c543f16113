"""The parts of `tools/train_mini.py`: sources, pictures, captions, natural features, the head."""
