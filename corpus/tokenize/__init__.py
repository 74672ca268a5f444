"""What the stage `tokenize` does: token shards and their documents tables."""
