"""Whether a picture shows a dog: a model of the catalog, with a queue and versions of its own."""

from model.imagenet.model import ImagenetModel

MODEL = ImagenetModel("dog", "dog?")
