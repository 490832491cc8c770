"""The models that a process serves, by its settings."""

from model import UnknownModel, catalog
from service.config.settings import Settings, SettingsError, variable


def served(settings: Settings) -> dict[str, catalog.Entry]:
    """The entries of the catalog by name, the default one first. Raises SettingsError."""
    try:
        return catalog.served(settings.extra_names)
    except UnknownModel as reason:
        raise SettingsError(variable("extra_models"), str(reason)) from reason
