"""Domain operations on the catalogue, a module a story."""
