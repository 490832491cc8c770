"""The regno scorer: which of two readings of a number plate is right. `pick_regno` for notebooks.

May import: model's errors, names, files, request decoding, bulk blocks and cli, stdlib, numpy,
catboost, msgspec; pandas for tables; scikit-learn, SciPy, matplotlib, jinja2 and tqdm in training
and evaluation. Never another scorer.
A request becomes a reading (request), features (features, plates) and a score (scorer, score).
columns: many readings at once; model_file: a .cbm file and its manifest; doubts, review: doubtful
readings, guards, decisions; explain: contributions; drift: counts for drift; dataset, training,
evaluation: from labelled rows to a new model and its report; the parity gate.
"""

from model.regno.columns.table import columns_of
from model.regno.doubts.finder import LOOKALIKE, NORMALISED, PLATES, UNSEEN, WARNINGS, named, parts
from model.regno.evaluation.gate import Gate
from model.regno.evaluation.parity import Limits, Parity, compare
from model.regno.explain.explainer import Explainer
from model.regno.explain.explanation import Explanation
from model.regno.features import Row
from model.regno.frames import FrameScorer, load
from model.regno.golden import readings as golden_readings
from model.regno.model import MODEL
from model.regno.pick import pick_regno
from model.regno.request import FIELDS, Reading
from model.regno.review.decision import DECISIONS, Costs, Decision, ThresholdChoice, Thresholds
from model.regno.review.detail import Detail
from model.regno.review.guards import Checked, Guards
from model.regno.schema import components
from model.regno.score import Score
from model.regno.scorer import BUNDLED, MANY, RegnoScorer

__all__ = [
    "BUNDLED",
    "DECISIONS",
    "FIELDS",
    "LOOKALIKE",
    "MANY",
    "MODEL",
    "NORMALISED",
    "PLATES",
    "UNSEEN",
    "WARNINGS",
    "Checked",
    "Costs",
    "Decision",
    "Detail",
    "Explainer",
    "Explanation",
    "FrameScorer",
    "Gate",
    "Guards",
    "Limits",
    "Parity",
    "Reading",
    "RegnoScorer",
    "Row",
    "Score",
    "ThresholdChoice",
    "Thresholds",
    "columns_of",
    "compare",
    "components",
    "golden_readings",
    "load",
    "named",
    "parts",
    "pick_regno",
]
