"""The thresholds of decisions, by the costs of the settings."""

from model.regno import Costs, Thresholds
from service.config.settings import Settings


def thresholds_of(settings: Settings) -> Thresholds:
    """Between which scores a person has to look."""
    return Thresholds(
        Costs(settings.cost_network_wrong, settings.cost_camera_wrong, settings.cost_manual)
    )
