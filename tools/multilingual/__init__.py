"""What `tools/train_multilingual.py` is made of."""
