"""The scorer of number-plate disagreements: `pick_regno`.

May import: model's errors, names, files, request decoding, blocks and cli, stdlib, numpy,
catboost, msgspec; pandas, matplotlib and tqdm where models are trained. Never another scorer.
request → features (plates) → scorer (catboost_file, manifest, golden); `pick` is for notebooks.
classes, outputs and manifest_check say which files are refused; doubts (ranges) finds doubtful
readings, guards (spelling) say what becomes of them; detail (decision) tells more of a score.
simulate → training → evaluate → card make the bundled model (`bundled`); labelled → split →
training → report one of own rows (`candidate`). gate (parity) stops promotions that change much.
"""

from model.regno.columns.table import columns_of
from model.regno.evaluation.gate import Gate
from model.regno.evaluation.parity import Limits, Parity, compare
from model.regno.explain.explainer import Explainer
from model.regno.explain.explanation import Explanation
from model.regno.features import Row
from model.regno.golden import readings as golden_readings
from model.regno.model import MODEL
from model.regno.pick import pick_regno
from model.regno.request import FIELDS, Reading
from model.regno.review.decision import DECISIONS, Costs, Decision, Thresholds
from model.regno.review.detail import Detail, Detailer
from model.regno.review.doubts import LOOKALIKE, NORMALISED, PLATES, UNSEEN, WARNINGS, named, parts
from model.regno.review.guards import Checked, Guards
from model.regno.schema import components
from model.regno.scorer import BUNDLED, MANY, RegnoScorer, Score

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
    "Detailer",
    "Explainer",
    "Explanation",
    "Gate",
    "Guards",
    "Limits",
    "Parity",
    "Reading",
    "RegnoScorer",
    "Row",
    "Score",
    "Thresholds",
    "columns_of",
    "compare",
    "components",
    "golden_readings",
    "named",
    "parts",
    "pick_regno",
]
