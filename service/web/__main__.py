"""`python -m service.web`: serve jobs with the settings of the environment."""

from pathlib import Path

from service.__main__ import serve

if __name__ == "__main__":
    serve(
        prog="python -m service.web",
        description="Serve jobs over HTTP. Settings are environment variables or lines of .env:",
        configuration=Path(__file__).with_name("gunicorn.conf.py"),
    )
