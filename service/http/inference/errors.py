"""The protocol's form of errors: {"error": "…"}."""

import msgspec

from service.http.reply import Envelope, Reply

_envelope = msgspec.json.Decoder(Envelope)


def in_protocol(reply: Reply) -> Reply:
    """A reply that reports an error in the service's envelope, in the protocol's form."""
    made = Reply(reply.status, msgspec.json.encode({"error": _envelope.decode(reply.body).body}))
    made.fields += reply.fields.split(b"\r\n", 2)[2]  # all but those of type and length
    return made
