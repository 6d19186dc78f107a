"""Commands that train the models which come with the library, and others like them."""
