"""Drift: how scored readings compare with those that the model was measured on."""
