"""What a dataset looks like from afar: numbers and pictures that summarise many elements."""
