"""From pairs to batches: columns, stored features, prefetching, hard negatives."""
