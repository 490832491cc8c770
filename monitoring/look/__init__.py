"""The dashboards without a Grafana server: their queries asked, their panels drawn.

`python -m monitoring.look` starts the service, load and Prometheus, asks Prometheus every
query of the dashboards, and draws them to PNG with Grafana's own components (`page/`) in
headless Chromium. `schema/` holds them to Grafana's own types.

What a server would add is missing here: provisioning, links, marks in time, icons, hovering.
"""
