#!/usr/bin/env bash
# `make bare`: what a newcomer meets on a Debian that has git, make and python3 and nothing else.
# Makes such a root with debootstrap, clones this checkout into it, and does there what README promises: a first
# try that names what to install, the demo, the tests. Its own mount and process namespaces end whatever it left.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
suite=${SUITE:-bookworm}
days=${DAYS:-3}

say() { printf '\n== %s\n' "$*"; }
refuse() { echo "$*" >&2; exit 1; }

# What configures pip, npm, Maven and TLS here holds there too, each file at its own path.
settings_from_outside() {
  env | cut -d= -f1 | grep -iE '^(https?_proxy|no_proxy|all_proxy|pip_.*|npm_config_.*|leadline_maven|(.*_)?ca_bundle|ssl_cert_.*|node_extra_ca_certs|git_ssl_cainfo)$' || true
}
files_from_outside() {
  printf '%s\n' /etc/resolv.conf /etc/hosts /etc/pip.conf ~/.pip/pip.conf ~/.config/pip/pip.conf ~/.npmrc \
    ~/.m2/settings.xml /usr/local/share/ca-certificates
  for name in $(settings_from_outside); do printf '%s\n' "${!name}"; done
}

furnish() { # root
  local file name
  while read -r file; do
    # Links in there lead out when they are followed from here: they are replaced, never written through.
    if [[ $file = /* && -e $file && (! -d $1$file || $file = /usr/local/*) ]]; then
      mkdir -p "$1$(dirname "$file")"
      cp -rL --remove-destination --no-target-directory "$file" "$1$file"
    fi
  done < <(files_from_outside)
  chroot "$1" update-ca-certificates >/dev/null 2>&1
  apt-config dump Acquire >"$1/etc/apt/apt.conf.d/90as-outside"
  # npm's global settings lie where each npm likes; named like this, every npm finds them.
  if command -v npm >/dev/null && [ -f "$(npm config get globalconfig)" ]; then
    cp "$(npm config get globalconfig)" "$1/etc/npmrc"
  fi
  for name in $(settings_from_outside); do printf 'export %s=%q\n' "$name" "${!name}"; done >"$1/root/settings"
  echo "export NPM_CONFIG_GLOBALCONFIG=/etc/npmrc" >>"$1/root/settings"
}

inside() { # command
  # /etc/profile's PATH, and nothing of the outside but its settings.
  env -i HOME=/root TERM=dumb LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" /bin/bash -c "source /root/settings && cd /root/leadline && $1"
}

timed() { # command: run it inside, keep what it says, print its seconds
  local begun=$SECONDS code=0
  inside "$1" 2>&1 | tee "$root/root/said" || code=$?
  echo "-- \`$1\` ended with $code after $((SECONDS - begun)) seconds"
  return "$code"
}

play() { # what happens inside the namespaces
  root=$1
  mount --make-rprivate /
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"

  say "first try: python3 alone"
  if timed "make demo ONCE=1 DAYS=$days"; then refuse "It went without anything to install: this root is not bare."; fi
  [ "$(wc -l <"$root/root/said")" = 1 ] || refuse "The first try did not end with one sentence."
  packages=$(grep -oP 'apt-get install \K[a-z0-9. -]+(?=,)' "$root/root/said") || refuse "No package was named."

  say "installing what it named: $packages"
  inside "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq -y --no-install-recommends $packages >/dev/null"

  say "second try"
  timed "make demo ONCE=1 DAYS=$days" || refuse "The demo failed."
  grep -q '^broker: Apache Kafka' "$root/root/said" || echo "-- not on Apache Kafka: $(grep '^broker:' "$root/root/said")"
  [ -s "$root/root/leadline/services/kernel/web/pages/static/govuk/govuk-frontend.css" ] || echo "-- the pages are plain"

  [ -n "${TESTS+set}" ] || { say "tests"; timed "make test" || refuse "The tests failed."; return; }
  [ -z "$TESTS" ] || { say "some tests"; timed "PATH=\$PWD/.venv/bin:\$PATH pytest -q -rs $TESTS" || refuse "The tests failed."; }
}

if [ "${1:-}" = inside ]; then
  play "$2"
  exit
fi

[ "$(id -u)" = 0 ] || refuse "make bare needs root, for it makes a root directory of its own: run it with sudo."
command -v debootstrap >/dev/null || refuse "make bare needs debootstrap: apt-get install debootstrap, then run this again."
root=$(mktemp -d "${BARE_ROOT:-/var/tmp}/leadline-bare.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
chmod 755 "$root"

say "a bare Debian ($suite) with git, make and python3 in $root"
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" "Component: main" 2>/dev/null | head -n 1 || true)
debootstrap --variant=minbase --include=ca-certificates,git,make,python3 "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 ||
  { tail -n 5 "$root.log" >&2; refuse "debootstrap failed: $root.log tells why."; }
rm "$root.log"
furnish "$root"
git clone --quiet --no-hardlinks "$checkout" "$root/root/leadline"
git -C "$checkout" diff --quiet HEAD || echo "-- changes that are not committed are left out"
unshare --mount --pid --fork --kill-child "$BASH" "$0" inside "$root"
