"""The settings as the web processes use them."""

from typing import Final

from msgspec import structs

from service.config.settings import Settings, load, with_broker_and_records_both

# The settings of the web processes that stand in the place of those of the scoring processes.
PREFIX: Final = "web_"


def load_web() -> Settings:
    """The settings, with the addresses and the number of the web processes. Raises SettingsError.

    What all kinds of server share reads `host`, `port`, `workers` and `metrics_bind`.
    """
    settings = with_broker_and_records_both(load())
    return structs.replace(
        settings,
        host=settings.web_host,
        port=settings.web_port,
        workers=settings.web_workers,
        metrics_bind=settings.web_metrics_bind,
    )
