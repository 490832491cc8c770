"""The settings of the processes that answer over AMQP."""

from msgspec.structs import replace

from service.config.settings import Settings, SettingsError, load, variable


def load_amqp() -> Settings:
    """The settings, with the metrics at the address of workers. Raises SettingsError."""
    settings = load()
    if not settings.broker:
        raise SettingsError(variable("broker"), "it names no broker to take requests from")
    return replace(settings, metrics_bind=settings.worker_metrics_bind)
