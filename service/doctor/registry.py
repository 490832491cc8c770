"""The registry of models that is followed, if one is."""

from collections.abc import Iterator
from contextlib import suppress

from model.registry import RegistryError
from service.config.settings import Settings, SettingsError
from service.doctor.finding import Finding, fail, ok, warn
from service.http.api_keys import ApiKeys
from service.rollout.startup import registry_of


def live_file(settings: Settings) -> str:
    """The live version's file; that of the settings without a readable registry."""
    if not settings.registry:
        return settings.model
    try:
        registry = registry_of(settings)
        return str(registry.fetch(registry.aliases().live))
    except RegistryError:
        return settings.model


def registry(settings: Settings) -> Iterator[Finding]:
    """Whether it can be read, names a live version, and what a way back leads to."""
    if not settings.registry:
        return
    try:
        models = registry_of(settings)
        aliases = models.aliases()
        versions = [entry.version for entry in models.versions()]
        if aliases.live in versions:
            models.fetch(aliases.live)
    except RegistryError as error:
        yield fail("registry", str(error), "correct SCORING_REGISTRY, or repair what it names")
        return
    if aliases.live not in versions:
        state = f"{models.where}: the live version {aliases.live or 'none'} is missing"
        yield fail("registry", state, "promote one: python -m model.registry promote --help")
    elif aliases.previous not in versions:
        state = f"{aliases.live} is live, and there is no previous version"
        yield warn("registry", state, "a rollback needs one: keep the version before")
    else:
        yield ok("registry", f"{aliases.live} is live, {aliases.previous} the way back")


def admins(settings: Settings) -> Iterator[Finding]:
    """Whether the admins have keys."""
    with suppress(SettingsError):  # the check of the keys reports it
        strangers = sorted(settings.admin_names - set(ApiKeys(settings).names))
        if strangers:
            state = f"no key is called {', '.join(strangers)}"
            yield warn("admins", state, "name keys in SCORING_ADMINS as among the keys themselves")
