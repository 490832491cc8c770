"""Evaluation: measures, reports, the model card, and the comparison of two models."""
