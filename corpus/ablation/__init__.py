"""Does it help? Two or more builds, the same small model on each, and what the models then know."""
