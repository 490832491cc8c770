"""The imagenet scorer: which of a thousand things a picture shows, and answers such as "a cat?".

May import: model's drift, errors, files, request decoding, pictures, stdlib, numpy, msgspec; Pillow
and onnxruntime, of the extra `images`, once a picture is decoded or a version loaded; torch and
others in `make` alone. Never another scorer.
A request becomes the middle of a picture (request, crop) and a score (scorer, score); queries.toml
has what can be asked, labels.txt the names of the classes; cat and dog are models of one query;
reference: drift.
network, manifest: a version's files; make: how the bundled file was made; speed: how quick it is.
"""

from model.imagenet.crop import Crop
from model.imagenet.model import BUNDLED, MODEL
from model.imagenet.queries import Query
from model.imagenet.request import Picture, PictureFile
from model.imagenet.score import Answer, Guess
from model.imagenet.scorer import ImagenetScorer

__all__ = [
    "BUNDLED",
    "MODEL",
    "Answer",
    "Crop",
    "Guess",
    "ImagenetScorer",
    "Picture",
    "PictureFile",
    "Query",
]
