"""Training: simulated or labelled rows, split by time; a trained model with its manifest."""
