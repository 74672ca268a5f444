"""The trainer: torch lives here and nowhere else; it meets the pipeline only at the shard."""
