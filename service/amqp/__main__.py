"""`python -m service.amqp`: answer requests over AMQP with the settings of the environment."""

from pathlib import Path

from service.__main__ import serve

if __name__ == "__main__":
    serve(
        "python -m service.amqp",
        "Answer requests for scores that come over AMQP. Settings are environment variables or "
        "lines of .env:",
        Path(__file__).with_name("gunicorn.conf.py"),
    )
