"""Models to and from folders of Hugging Face Transformers, which is not needed for it."""
