"""What images look like to a classifier: its networks, features, distances on them, and the nearest images."""
