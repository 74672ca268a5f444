"""What is known about text: Arrow columns of text in, arrays out; no files, no recipe, no Ray."""
