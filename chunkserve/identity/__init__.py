"""Who asks: from credentials as requests carry them to principals."""
