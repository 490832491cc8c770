"""The settings of notifications, from the environment and a `.env` file.

Each setting is the variable `ALERTMANAGER_` plus the field's name in capitals. An empty value
counts as not set. Messages name the variable, never its value: an address may contain a key.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values
from msgspec import Meta, Struct

PREFIX: Final = "ALERTMANAGER_"
_ADDRESS: Final = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")
_HOST_PORT: Final = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}")


class SettingsError(Exception):
    """A setting that is missing or invalid; the text begins with its variable."""

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(f"{subject}: {reason}")


class Settings(Struct, frozen=True):
    """The receivers. `load` makes one."""

    webhook_url: Annotated[str, Meta(description="Where notifications are posted as JSON.")] = ""
    webhook_url_file: Annotated[
        str, Meta(description="File with that address, if it holds a secret; read when rendered.")
    ] = ""
    webhook_token_file: Annotated[
        str, Meta(description="Absolute path of a bearer token for it; read by Alertmanager.")
    ] = ""
    email_to: Annotated[str, Meta(description="Addresses to mail to, separated by commas.")] = ""
    email_from: Annotated[str, Meta(description="The sender of the mails.")] = ""
    smtp_host: Annotated[str, Meta(description="The mail server, host:port.")] = ""
    smtp_user: Annotated[str, Meta(description="The user at the mail server, if needed.")] = ""
    smtp_password_file: Annotated[
        str, Meta(description="Absolute path of the user's password; read by Alertmanager.")
    ] = ""
    smtp_tls: Annotated[
        bool, Meta(description="Whether mail goes only to a server that offers STARTTLS.")
    ] = True
    allow_no_receiver: Annotated[
        bool,
        Meta(description="Allow running without a notification receiver."),
    ] = False


FIELDS: Final[tuple[str, ...]] = Settings.__struct_fields__
# A former name, accepted for one release: its use is reported with the name that replaces it.
FORMER: Final = "ALERTMANAGER_NOBODY"


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _bad(field: str, reason: str) -> SettingsError:
    return SettingsError(variable(field), reason)


def load(environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """The settings, with the webhook's address already read from its file.

    Raises SettingsError.
    """
    given = _given(environ, dotenv)
    if FORMER in given:
        given.setdefault(variable("allow_no_receiver"), given[FORMER])
    fields = {field: given[variable(field)] for field in FIELDS if variable(field) in given}
    try:
        settings = msgspec.convert(fields, Settings, strict=False)
    except msgspec.ValidationError as error:  # only a truth value can be of the wrong type
        field = str(error).rpartition("$.")[2].rstrip("`")
        raise _bad(field, "is neither true nor false") from None
    settings = _with_webhook_url(settings)
    if not (settings.webhook_url or settings.email_to or settings.allow_no_receiver):
        other = variable("email_to")
        raise _bad("webhook_url", f"there is no receiver of notifications: set it, or {other}")
    _check_webhook(settings)
    _check_email(settings)
    return settings


def unknown_variables(
    environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")
) -> list[str]:
    """Variables with the prefix that set nothing, for example misspelt ones."""
    named = {variable(field) for field in FIELDS}
    return sorted(_given(environ, dotenv).keys() - named - {FORMER})


def uses_former_name(environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> bool:
    """Whether `FORMER` is set."""
    return FORMER in _given(environ, dotenv)


def _given(environ: Mapping[str, str] | None, dotenv: Path) -> dict[str, str]:
    # The only reader of the environment in `monitoring`.
    own = os.environ if environ is None else environ  # noqa: TID251
    try:
        sources = (dotenv_values(dotenv), own)
    except (OSError, UnicodeError):
        raise SettingsError(str(dotenv), "it can't be read as UTF-8 text") from None
    return {
        name: value
        for source in sources
        for name, value in source.items()
        if name.startswith(PREFIX) and value
    }


def _with_webhook_url(settings: Settings) -> Settings:
    path = settings.webhook_url_file
    if not path:
        return settings
    if settings.webhook_url:
        raise _bad("webhook_url_file", f"{variable('webhook_url')} is set too")
    try:
        url = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise _bad("webhook_url_file", f"{path} can't be read") from error
    if not url:
        raise _bad("webhook_url_file", f"{path} is empty")
    return msgspec.structs.replace(settings, webhook_url=url)


def _check_webhook(settings: Settings) -> None:
    _check_path(settings, "webhook_token_file")
    if not settings.webhook_url:
        if settings.webhook_token_file:
            raise _bad("webhook_token_file", f"{variable('webhook_url')} is not set")
        return
    try:
        parts = urlsplit(settings.webhook_url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none
        usable = False
    if not usable or any(character.isspace() for character in settings.webhook_url):
        field = "webhook_url_file" if settings.webhook_url_file else "webhook_url"
        raise _bad(field, "is not an http:// or https:// address")


def _check_email(settings: Settings) -> None:
    _check_path(settings, "smtp_password_file")
    if not settings.email_to:
        for field in ("email_from", "smtp_host", "smtp_user", "smtp_password_file"):
            if getattr(settings, field):
                raise _bad("email_to", f"is missing, though {variable(field)} is set")
        return
    if not all(_ADDRESS.fullmatch(address.strip()) for address in settings.email_to.split(",")):
        raise _bad("email_to", "is not a list of addresses such as ops@example.org")
    if not _ADDRESS.fullmatch(settings.email_from):
        raise _bad("email_from", "is missing or no address; mail needs a sender")
    if not _HOST_PORT.fullmatch(settings.smtp_host):
        raise _bad("smtp_host", "is missing or not host:port; mail needs a server")
    if bool(settings.smtp_user) != bool(settings.smtp_password_file):
        missing = "smtp_password_file" if settings.smtp_user else "smtp_user"
        raise _bad(missing, "is missing: user and password go together")


def _check_path(settings: Settings, field: str) -> None:
    """Check only the path: the file may be on the machine of Alertmanager."""
    path = getattr(settings, field)
    if path and not path.startswith("/"):
        raise _bad(field, "is not an absolute path")
