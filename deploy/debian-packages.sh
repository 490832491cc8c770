#!/usr/bin/env bash
# Installs the Debian packages that tests and measurements need in addition to Python:
#   deploy/debian-packages.sh python|tests|stack
# python: the venv module. tests: what `make test-fast`, `make bench` and their like run.
# stack: a Docker engine for `make test-stack`. Without root it only names what is missing.
set -euo pipefail

PATH=$PATH:/usr/sbin
# Debian starts the servers that it installs, unless this file exists and exits with 101.
no_start=/usr/sbin/policy-rc.d

# Prints each package whose program is missing; arguments are PROGRAM=PACKAGE.
missing_of() {
  for pair in "$@"; do
    command -v "${pair%=*}" >/dev/null || echo "${pair#*=}"
  done
}

case ${1:-} in
  python)
    missing=$("${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv) ;;
  tests) # no `grep -q`: it ends before fc-list does, which pipefail counts as a failure
    missing=$(missing_of wrk=wrk curl=curl prometheus=prometheus chromium=chromium \
      prometheus-alertmanager=prometheus-alertmanager nginx=nginx-light openssl=openssl \
      rabbitmq-server=rabbitmq-server redis-server=redis-server fiu-run=fiu-utils
      fc-list 2>/dev/null | grep -i inter >/dev/null || echo fontconfig fonts-inter) ;;
  stack)
    missing=$(missing_of dockerd=docker.io iptables=iptables mmdebstrap=mmdebstrap) ;;
  *)
    sed -n '2,5s/^# //p' "$0" >&2; exit 64 ;;
esac
missing=${missing//$'\n'/ }
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Missing: $missing (Debian: apt-get install $missing)" >&2
  exit 1
fi
echo "Installing Debian packages: $missing"
if [ ! -e $no_start ]; then
  trap 'rm -f $no_start' EXIT
  printf '#!/bin/sh\nexit 101\n' >$no_start
  chmod +x $no_start
fi
apt-get update -qq
# shellcheck disable=SC2086 # one word for each package
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
