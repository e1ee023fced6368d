"""Training of the studies' classifiers: candidates, checkpoints, releases."""
