#!/usr/bin/env bash
# Makes test certificates for the edge: an authority, a server's and a client's, into a folder.
#   deploy/certs.sh [FOLDER [NAME-OF-THE-CLIENT]]
# Good ones are kept. Not for production: the authority's key lies in the same folder.
set -euo pipefail
umask 077
command -v openssl >/dev/null || { echo "Missing: openssl (Debian: apt-get install openssl)" >&2; exit 1; }

# openssl's messages are printed only when something fails.
messages=$(mktemp)
exec 3>&2 2>"$messages"
trap 'status=$?; [ $status = 0 ] || cat "$messages" >&3; rm -f "$messages"' EXIT

folder=${1:-build/certs}
client=${2:-client}
days=397
mkdir -p "$folder"
cd "$folder"

key() {
  openssl pkey -in "$1.key" -noout 2>/dev/null || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
}

# Whether a certificate has this key, is signed by this authority, and is not about to expire.
good() {
  [ -s "$1.crt" ] && openssl x509 -in "$1.crt" -noout -checkend 86400 >/dev/null 2>&1 &&
    openssl verify -CAfile ca.crt "$1.crt" >/dev/null 2>&1 &&
    [ "$(openssl x509 -in "$1.crt" -noout -pubkey)" = "$(openssl pkey -in "$1.key" -pubout)" ]
}

authority() {
  key ca
  good ca || openssl req -x509 -new -key ca.key -sha256 -days $days -out ca.crt \
    -subj "/CN=Test authority of the edge" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
}

# NAME SUBJECT EXTENSIONS
issue() {
  key "$1"
  good "$1" || openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -sha256 -days $days -CA ca.crt -CAkey ca.key -out "$1.crt" \
      -set_serial "0x$(openssl rand -hex 16)" -extfile <(printf '%s\n' "basicConstraints=CA:FALSE" \
      "keyUsage=digitalSignature" "subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" "$3")
}

authority
issue server "/CN=edge" \
  $'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,DNS:edge,IP:127.0.0.1,IP:::1'
issue "$client" "/CN=$client" "extendedKeyUsage=clientAuth"
echo "Certificates in $PWD: ca, server, $client"
