#!/bin/sh
# Installs the programs that the benchmark runs, where they are missing. Their services are neither started nor enabled.
set -eu

PATH=$PATH:/usr/sbin
missing=''
for pair in smtp-sink:postfix wrk:wrk redis-server:redis-server mbsync:isync dovecot:dovecot-imapd dovecot:dovecot-pop3d \
    dovecot:dovecot-lmtpd; do
    command -v "${pair%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed:$missing. Install these Debian packages as root, without starting their services." >&2
    exit 1
fi

echo "Installing$missing with apt-get"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy # a maintainer script that would start a service is told no
    chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # the names are words
apt-get install -y -qq --no-install-recommends $missing
for service in postfix redis-server dovecot; do
    case "$missing" in *$service*) update-rc.d $service disable ;; esac
done
