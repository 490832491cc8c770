"""nginx's configuration: the template, filled with settings."""

import re
from pathlib import Path
from typing import Final

import jinja2

from model import catalog
from model.redaction import PLATE_IN_ID
from service.edge.settings import DOCS_BYTES, DOCS_REQUESTS, REPLY_BYTES, Settings

_TEMPLATE: Final = Path(__file__).with_name("nginx.conf.j2")
# Under the service's SCORING_KEEPALIVE: nginx must be the first to close an idle connection.
SERVICE_IDLE_SECONDS: Final = 60
# Above the longest `?wait=` of the web processes.
WEB_REPLY_SECONDS: Final = 40

# Of the Open Inference Protocol: the same as in `service.routes.inference`.
INFERENCE_BODY: Final = 256 * 1024
# The same of pictures, as in `service.web.routes.inference`.
PICTURE_INFERENCE_BODY: Final = 11_250_346

# What ids of requests may hold: the same as in `service.http.request_ids`.
ID: Final = r"[A-Za-z0-9._:-]{1,128}"


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
        web_reply_timeout=max(settings.reply_timeout, WEB_REPLY_SECONDS),
        reply_bytes=REPLY_BYTES,
        docs_bytes=DOCS_BYTES,
        docs_requests=DOCS_REQUESTS,
        patterns={"id": ID, "plate": PLATE_IN_ID},
        inference_max_body=INFERENCE_BODY,
        picture_inference_max_body=PICTURE_INFERENCE_BODY,
        picture_models="|".join(
            re.escape(entry.name) for entry in catalog.entries().values() if entry.extra
        ),
        score_paths=[re.escape(entry.path.rstrip("/")) for entry in catalog.served(()).values()],
    )
