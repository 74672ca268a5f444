"""A build as a page for colleagues: the funnel, the drops, the duplicates, the mix."""
