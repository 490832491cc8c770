"""The thresholds of decisions, by the settings: a model's own, or those of the costs."""

from model.regno import Costs, ThresholdChoice
from service.config.settings import Settings


def threshold_choice(settings: Settings) -> ThresholdChoice:
    """By which thresholds the scores of a model are decided."""
    return ThresholdChoice(
        Costs(settings.cost_network_wrong, settings.cost_camera_wrong, settings.cost_manual),
        by_costs=settings.thresholds == "costs",
    )
