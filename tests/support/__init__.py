"""What several test modules share: a toy encoder, tiny checkpoints, pictures, a chat server."""
