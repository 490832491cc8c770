"""Drift: how the readings of now compare with those that the model was measured on."""
