# Sourced by install.sh: who made a bundle. Ed25519 (RFC 8032) by OpenSSL; the keys are this device's, in /etc/edgeseg/keys.
# shellcheck shell=bash
#
# The folder of keys says that bundles are verified, also when no key is left in it: withdrawing the last one must not
# let everybody in. BUNDLE.sig is five lines, which are signed, and one line for each signature of them.

sign_yours="sign it: edgeseg bundle --sign KEY.pem --out BUNDLE"

verifies() { [[ -d $keys ]]; }

check_openssl() {
  local found
  found=$(openssl version 2>/dev/null) || fail "no openssl, which verifies signatures; sudo apt-get install openssl"
  [[ $found =~ ^OpenSSL\ ([0-9]+)\. && $(digits "${BASH_REMATCH[1]}") -ge 3 ]] ||
    fail "this is $found; expected OpenSSL 3.0 or newer, which JetPack 6 has: it verifies signatures"
}

# copy_plain FILE COPY: at most as long as it is now. A FIFO that has taken its place meanwhile is empty, and no wait.
copy_plain() {
  local size
  [[ -f $1 ]] || return
  size=$(digits "$(stat -L -c %s -- "$1")")
  dd if="$1" of="$2" bs=1M iflag=nonblock,fullblock,count_bytes count="$size" status=none 2>/dev/null && sync "$2"
}

# read_signature FILE: sets signed_sha256, signed_id, signed_target, signed_time and signatures.
read_signature() {
  local lines=() each
  signatures=()
  [[ $(digits "$(stat -c %s -- "$1")") -le 4096 ]] || return
  mapfile -t lines < <(tr -d '\0' <"$1")
  [[ ${#lines[@]} -ge 6 && ${lines[0]} == "edgeseg-bundle-signature 1" ]] || return
  [[ ${lines[1]} =~ ^sha256:\ ([0-9a-f]{64})$ ]] && signed_sha256=${BASH_REMATCH[1]} || return
  [[ ${lines[2]} =~ ^id:\ ([0-9A-Za-z][0-9A-Za-z._+-]{0,99})$ ]] && signed_id=${BASH_REMATCH[1]} || return
  [[ ${lines[3]} =~ ^target:\ ([0-9a-z]{1,30})$ ]] && signed_target=${BASH_REMATCH[1]} || return
  [[ ${lines[4]} =~ ^time:\ ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)$ ]] &&
    signed_time=${BASH_REMATCH[1]} || return
  for each in "${lines[@]:5}"; do
    [[ $each =~ ^signature:\ ([A-Za-z0-9+/]{86}==)$ ]] && signatures+=("${BASH_REMATCH[1]}") || return
  done
}

# What is verified is written anew from what was read: nothing else of the file can count.
signed_text() {
  printf '%s\n' "edgeseg-bundle-signature 1" "sha256: $signed_sha256" "id: $signed_id" "target: $signed_target" \
    "time: $signed_time"
}

# signed_by FOLDER: the name of the key that one of the signatures is of; FOLDER takes what OpenSSL reads.
signed_by() {
  local each key
  signed_text >"$1/text"
  for each in "${signatures[@]}"; do
    base64 -d <<<"$each" >"$1/raw"
    for key in "$keys"/*.pem; do
      [[ -f $key && ! -L $key ]] || continue
      if openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$1/text" -sigfile "$1/raw" >/dev/null 2>&1; then
        key=${key##*/}
        echo "${key%.pem}"
        return
      fi
    done
  done
  return 1
}

# verify_copy NAME FOLDER: hold the copy FOLDER/bundle against the copy FOLDER/signature; NAME is for messages.
verify_copy() {
  local by found
  check_openssl
  safe_folder "$keys" || fail "$keys: others may write there; expected a folder of root's own"
  [[ -f $2/signature ]] || fail "$1: refused, unsigned: no $1.sig; $sign_yours"
  read_signature "$2/signature" || fail "$1: refused, $1.sig is no signature of a bundle; copy it again, or $sign_yours"
  by=$(signed_by "$2") ||
    fail "$1: refused, foreign: signed by none of the keys in $keys; if it is yours, --trust its key"
  found=$(sha256sum <"$2/bundle")
  [[ ${found%% *} == "$signed_sha256" ]] || fail "$1: refused, changed after it was signed; copy it again"
  check_signed_target "$1"
  check_age "$1"
  say "  signed by $by, $signed_time, for $signed_target"
}

# By the table of the installer that runs. What that does not know is left to the bundle's own.
check_signed_target() {
  local own=debian12 release
  release=$(l4t_release)
  if [[ -n $release ]]; then
    own=$(jetpack_row "$release" "$here/jetpacks.tsv" | cut -f1)
    own=${own:+jetpack${own%%.*}}
  elif [[ ! -f $root/etc/debian_version ]]; then
    own=
  fi
  [[ -z $own || $own == "$signed_target" ]] ||
    fail "$1: refused, for another target: it is for $signed_target, this is $own"
}

# --- old bundles ---

# newest: time and id of the newest bundle that was ever installed here by its signature; a rollback leaves it.
newest() {
  local time='' id=''
  if [[ -f $keys/newest ]]; then read -r time id <"$keys/newest" || true; fi
  if read_signature_of_current && [[ $signed_time > $time ]]; then time=$signed_time id=$signed_id; fi
  echo "$time $id"
}

read_signature_of_current() { [[ -f $base/current/signature ]] && read_signature "$base/current/signature"; }

check_age() {
  local time id
  if [[ $older == yes || $was == "$signed_id" || $was == "$signed_id"-+([0-9]) ]]; then return; fi
  read -r time id <<<"$(newest)"
  [[ ! $signed_time < $time ]] ||
    fail "$1: refused, older: it was signed $signed_time, $id on this device $time; --allow-older installs it all the same"
}

note_newest() {
  local time
  read -r time _ <<<"$(newest)"
  if [[ $older == yes || ! $signed_time < $time ]]; then
    put_file "$keys/newest" 644 <<<"$signed_time $signed_id"
  fi
}

# --- keys ---

# public_key FILE: the key, as OpenSSL writes it.
public_key() {
  local content kind
  check_openssl
  [[ -f $1 ]] || fail "$1: no such file; expected a public key, of openssl pkey -pubout"
  content=$(head -c 4096 -- "$1" | tr -d '\0')
  [[ $content != *PRIVATE* ]] ||
    fail "$1: a private key, which belongs on no device; give its public one: openssl pkey -in KEY.pem -pubout"
  kind=$(openssl pkey -pubin -noout -text <<<"$content" 2>/dev/null | head -n 1)
  [[ $kind == "ED25519 Public-Key:" ]] ||
    fail "$1: ${kind:-no public key}; expected one of Ed25519: openssl genpkey -algorithm ed25519"
  openssl pkey -pubin <<<"$content"
}

fingerprint() { openssl pkey -pubin -in "$1" -outform DER 2>/dev/null | sha256sum | cut -c-16; }

# name_of_key TEXT: under which name it is trusted; empty if it is not.
name_of_key() {
  local each
  for each in "$keys"/*.pem; do
    if [[ "$(cat -- "$each")" == "$1" ]]; then basename -- "$each" .pem && return; fi
  done
}

trust() {
  local text name known
  text=$(public_key "$given")
  name=$(basename -- "$given" .pem)
  [[ $name =~ ^[0-9A-Za-z_][0-9A-Za-z._-]{0,63}$ ]] ||
    fail "$given: its name is how it is called here; expected letters, digits and ._-: rename it"
  known=$(name_of_key "$text")
  if [[ -n $known ]]; then
    doing=''
    say "trusted already, as $known"
    return
  fi
  [[ ! -e $keys/$name.pem ]] || fail "another key is trusted as $name; rename this one, or --distrust $name first"
  step "trust $given as $name" put_file "$keys/$name.pem" 644 <<<"$text"
  list_keys
}

distrust() {
  local name=$given
  if [[ -f $given ]]; then name=$(name_of_key "$(public_key "$given")"); fi
  name=${name%.pem}
  [[ -n $name && $name != */* && -f $keys/$name.pem ]] ||
    fail "$given: no key that is trusted here; expected a name of $keys or a public key's file"
  step "trust $name no longer" remove_key "$name"
  list_keys
}

remove_key() { rm -f -- "$keys/$1.pem" && sync "$keys"; }

list_keys() {
  local each
  doing=''
  if [[ $dry == yes ]]; then
    say "nothing was changed"
    return
  fi
  for each in "$keys"/*.pem; do say "  trusted: $(basename -- "$each" .pem), SHA-256 $(fingerprint "$each")..."; done
  if ! verifies; then
    say "  NOTE bundles are not verified here: no key in $keys; to begin: $0 --trust KEY.pem"
  elif ! compgen -G "$keys/*.pem" >/dev/null; then
    say "  NOTE no key is trusted: every bundle is refused until --trust KEY.pem (or without $keys, none is verified)"
  fi
}
