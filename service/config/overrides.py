"""gunicorn's own arguments, from the command line after `--` or from GUNICORN_CMD_ARGS.

Command line arguments win over settings on purpose. GUNICORN_CMD_ARGS does so silently, as part
of an environment, so its effect is logged. Neither may replace the service's own classes.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from service.config.settings import SettingsError, variable

VARIABLE: Final = "GUNICORN_CMD_ARGS"
_ARGUMENTS: Final = f"{VARIABLE}, or the arguments after --"
# The settings that an argument wins over, by gunicorn's name.
_SETTINGS: Final = {
    "bind": ("host", "port", "metrics_bind"),
    "workers": ("workers",),
    "keepalive": ("keepalive",),
    "graceful_timeout": ("graceful_timeout",),
    "loglevel": ("log_level",),
}
# What has an effect on gunicorn's own workers only, by gunicorn's names.
WITHOUT_EFFECT: Final = (
    *("access_log_format", "certfile", "http2_cleartext", "keyfile", "limit_request_field_size"),
    *("limit_request_fields", "limit_request_line", "max_requests", "proxy_protocol", "threads"),
)
# A reload doubles the workers, and the scoreboard has places for so many.
MOST_WORKERS: Final = 64


def check(cfg: Any, fixed: Mapping[str, Any], without_effect: Collection[str]) -> None:
    """Raise SettingsError for arguments that the service can't run with.

    `fixed` holds the values that no argument may change, by gunicorn's names, `without_effect` the
    names of arguments that would do nothing.
    """
    for name, value in fixed.items():
        if cfg.settings[name].value != value:
            reason = f"{_flag(name)} can't be changed: the service needs its own"
            raise SettingsError(_ARGUMENTS, reason)
    for name in without_effect:
        if cfg.settings[name].get() != cfg.settings[name].default:
            flag = cfg.settings[name].cli[-1]
            raise SettingsError(_ARGUMENTS, f"{flag} would have no effect on this server")
    if not 1 <= cfg.workers <= MOST_WORKERS:
        raise SettingsError(_ARGUMENTS, f"--workers must be 1 to {MOST_WORKERS}")


def description(cfg: Any) -> str:
    """What GUNICORN_CMD_ARGS sets, and which settings it wins over; empty if it sets nothing."""
    arguments = vars(cfg.parser().parse_args(cfg.get_cmd_args_from_env()))
    names = sorted(name for name, value in arguments.items() if value is not None)
    names.remove("args")  # the application's name, which is positional
    if not names:
        return ""
    losers = [variable(field) for name in names for field in _SETTINGS.get(name, ())]
    wins = f", which wins over {', '.join(losers)}" if losers else ""
    return f"{VARIABLE} sets {', '.join(map(_flag, names))}{wins}"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
