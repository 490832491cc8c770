"""POST to a model's address, as /reg/: one request or an array of them in, scores out."""

from typing import TYPE_CHECKING

from model import InvalidRequest, catalog
from model.scorer import Model
from service.config.settings import Settings
from service.http import body, deadline
from service.http.query import wants_details
from service.http.reply import Reply
from service.routes.score_call import WsgiCall
from service.scoring.service import ScoringService
from service.telemetry.record import record_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class ScoreRoute:
    """The route of one model; `path` is its template, `paths` its two spellings."""

    def __init__(self, model: Model, service: ScoringService, settings: Settings) -> None:
        self.name = model.name
        self.model = model
        self.path = catalog.entry(model.name).path.rstrip("/")
        self.paths = (f"{self.path}/", self.path)
        self.limits = (settings.max_body, settings.max_array_body)
        self.service = service

    def post(self, environ: "WSGIEnvironment") -> Reply:
        """Read, score, reply. Raises InvalidRequest, Refused or Overloaded."""
        record = record_of(environ)
        record.route = self.path
        live = self.service.live(record)
        text = body.read(environ, *self.limits)
        try:
            detail = wants_details(environ.get("QUERY_STRING", ""))
            call = WsgiCall(self.service, record, text, detail)
            self.service.score(live, call, deadline.left_in(environ))
        except InvalidRequest as fault:
            self.service.scoring.refused(fault)
            raise
        response: Reply = call.reply
        return response
