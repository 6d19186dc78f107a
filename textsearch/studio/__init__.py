"""The page on which chains are watched: a small web application over a `textsearch.service.Service`."""
