"""Text that must parse: how near to the exact law every way of drawing it comes, and at what price; see `__main__`."""
