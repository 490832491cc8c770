"""Deployment: the container images, first secrets and test certificates, Debian packages.

May import: the standard library, and `service.config.files` to write files whole.
Never: anything that `make run` has to install first. Nothing imports this package.
"""
