"""What people read for the names of measures and of contenders in `evaluate`."""

from typing import Final

MEASURES: Final = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "brier": "Brier",
    "log_loss": "Log loss",
    "calibration_error": "ECE",
}
CONTENDERS: Final = {
    "model": "**this model**",
    "always_network": "always the network",
    "score_over_half": "the network if its score > 0.5",
    "score_itself": "the network's score taken as the probability",
}
