"""A model that is installed apart from the project: its entry in the catalog."""

from model.catalog import Entry

ENTRY = Entry("toy", "toy_scorer.model", path="/toy/", artifact="model.json")
