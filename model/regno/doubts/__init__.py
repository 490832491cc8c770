"""Doubtful readings: what makes them so, and the ranges that a model was trained on."""
