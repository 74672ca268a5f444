"""What the stage `filter` does: rules, blocked addresses, and quality scores."""
