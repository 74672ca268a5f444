"""What the stage `crawl` does: which files and pages, and how each becomes a local file."""
