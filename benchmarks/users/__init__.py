"""Many users at once: traces of what people do, asked of every server by the same generator."""
