"""Looking at a build: its documents, their stories, and whether every byte is right."""
