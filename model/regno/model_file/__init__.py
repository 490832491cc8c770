"""Model files: loading, manifests, the positive class, checks of outputs."""
