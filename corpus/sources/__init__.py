"""What can be read: one module a kind of source, each a generator of pages or documents."""
