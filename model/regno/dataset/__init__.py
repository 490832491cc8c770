"""Labelled rows for training: read from a CSV file, split by time."""
