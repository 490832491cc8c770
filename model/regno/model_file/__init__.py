"""A model file: loading it, its manifest, its positive class, whether it answers probabilities."""
