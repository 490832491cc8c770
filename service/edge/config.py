"""The template, filled with settings."""

from pathlib import Path
from typing import Final

import jinja2

from service.edge.settings import DOCS_BYTES, DOCS_REQUESTS, REPLY_BYTES, Settings

_TEMPLATE: Final = Path(__file__).with_name("nginx.conf.j2")
# Under the service's SCORING_KEEPALIVE: nginx must be the first to close an idle connection.
SERVICE_IDLE_SECONDS: Final = 60

# What ids of requests may hold, and which of them may be number plates: as `service.door` and
# `service.privacy` judge, for ASCII, in the dialect that Python and PCRE share.
ID: Final = r"[A-Za-z0-9._:-]{1,128}"
UUID: Final = r"(?i:[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12})"
_L: Final = "[ABEKMHOPCTYXD]"
_GAP: Final = "[._:-]?"
_GAPS: Final = "[._:-]*"
_LAYOUTS: Final = (
    rf"(?i:{_L}{_GAP}\d{{3}}{_GAP}{_L}{{2}}(?:{_GAP}\d{{2,3}})?)",
    rf"{_L}{{1,3}}\d{{5,7}}",
    rf"\d{{3,4}}{_L}{{1,2}}\d{{2,6}}",
    rf"{_L}{{2}}\d{{3}}{_L}\d{{2,3}}",
    rf"{_L}\d{{4}}{_L}{{2}}",
)
_D: Final = "[0-9]"
_CAR: Final = f"(?i:{_GAPS.join((_L, _D, _D, _D, _L, _L, _D, _D))})"
PLATE: Final = rf"(?:(?<![A-Za-z0-9])(?:{'|'.join(_LAYOUTS)})(?![A-Za-z0-9])|{_CAR})"


def config(settings: Settings) -> str:
    """What `nginx.conf` holds."""
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701 - no HTML; `settings` lets nothing pass that ends a word
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(_TEMPLATE.read_text("utf-8")).render(
        edge=settings,
        service_idle=SERVICE_IDLE_SECONDS,
        reply_bytes=REPLY_BYTES,
        docs_bytes=DOCS_BYTES,
        docs_requests=DOCS_REQUESTS,
        patterns={"id": ID, "uuid": UUID, "plate": PLATE},
    )
