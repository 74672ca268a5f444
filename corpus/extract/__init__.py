"""What the stage `extract` does: the cheap look, and the extraction in a bounded process."""
