"""What a chat model finds in texts."""
