"""The stages: files in, files out, one verb a file. They do not import each other."""
