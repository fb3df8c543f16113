"""Finding any model's directory and loading it without network and foreign code."""
