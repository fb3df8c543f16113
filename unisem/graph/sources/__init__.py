"""Where a graph's entities, relations and mentions come from."""
