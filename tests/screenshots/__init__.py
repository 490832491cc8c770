"""Screenshots of the dashboards without a Grafana server.

`python -m tests.screenshots` starts the service, load and Prometheus, runs every query of the
dashboards, and draws them to PNG with Grafana's own components (`page/`) in headless Chromium.
`schema/` checks the dashboards against Grafana's own types. A Grafana server would add what is
missing here: provisioning, links, annotations, icons, tooltips.
"""


class ScreenshotError(Exception):
    """A program that the screenshots need is missing or fails; the text names it."""
