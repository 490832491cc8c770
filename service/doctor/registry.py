"""The registry of models that is followed, if one is."""

from collections.abc import Iterator
from contextlib import suppress

from model import catalog
from model.registry import RegistryError
from service.config.settings import Settings, SettingsError
from service.doctor.finding import Finding, fail, ok, titled, warn
from service.http.api_keys import ApiKeys
from service.rollout.startup import registry_of


def live_file(settings: Settings, name: str = catalog.DEFAULT) -> str:
    """The live version's file of a model; that of the settings without a readable registry.

    The settings name one of the default model only.
    """
    named = settings.model if name == catalog.DEFAULT else ""
    if not settings.registry:
        return named
    try:
        registry = registry_of(settings, name)
        return str(registry.fetch(registry.aliases().live))
    except RegistryError:
        return named


def registry(settings: Settings, name: str = catalog.DEFAULT) -> Iterator[Finding]:
    """Whether it can be read, names a live version of a model, and what a way back leads to."""
    if not settings.registry:
        return
    subject = titled("registry", name)
    try:
        models = registry_of(settings, name)
        aliases = models.aliases()
        versions = [entry.version for entry in models.versions()]
        if aliases.live in versions:
            models.fetch(aliases.live)
    except RegistryError as error:
        yield fail(subject, str(error), "correct SCORING_REGISTRY, or repair what it names")
        return
    if name != catalog.DEFAULT and not aliases.live:  # it is not served, as `model` reports
        return
    if aliases.live not in versions:
        state = f"{models.where}: the live version {aliases.live or 'none'} is missing"
        yield fail(subject, state, "promote one: python -m model.registry promote --help")
    elif aliases.previous not in versions:
        state = f"{aliases.live} is live, and there is no previous version"
        yield warn(subject, state, "a rollback needs one: keep the version before")
    else:
        yield ok(subject, f"{aliases.live} is live, {aliases.previous} the way back")


def admins(settings: Settings) -> Iterator[Finding]:
    """Whether the admins have keys."""
    with suppress(SettingsError):  # the check of the keys reports it
        strangers = sorted(settings.admin_names - set(ApiKeys(settings).names))
        if strangers:
            state = f"no key is called {', '.join(strangers)}"
            yield warn("admins", state, "name keys in SCORING_ADMINS as among the keys themselves")
