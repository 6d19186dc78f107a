"""`textsearch serve`: models that stay in memory, and commands that use them (`--server`)."""
