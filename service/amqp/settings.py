"""The settings of the processes that answer over AMQP."""

from importlib.util import find_spec

from msgspec.structs import replace

from service.config.models import served
from service.config.settings import Settings, SettingsError, load, variable


def load_amqp() -> Settings:
    """The settings, with the metrics at the address of workers. Raises SettingsError."""
    settings = load()
    if not settings.broker:
        raise SettingsError(
            variable("broker"), "it is empty, so there is no broker to take requests from"
        )
    if find_spec("pika") is None:
        reason = "this needs pika, which is not installed: install the extra `queue`"
        raise SettingsError(variable("broker"), reason)
    if unknown := settings.amqp_names - served(settings).keys():
        reason = f"these are not served: {', '.join(sorted(unknown))}"
        raise SettingsError(variable("amqp_models"), reason)
    return replace(settings, metrics_bind=settings.worker_metrics_bind)
