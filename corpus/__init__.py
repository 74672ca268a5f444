"""From Common Crawl to a running trainer: the data pipeline of GPT-3, from one recipe."""

__version__ = "0.1.0"
