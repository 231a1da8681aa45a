# Sourced by install.sh: the bundle, of which nothing is taken before it is checked.
# shellcheck shell=bash

sane_name='[0-9A-Za-z_][0-9A-Za-z@._+!-]*'

# safe_folder FOLDER: whether nobody but us and root can exchange what lies in it. In /tmp and its like, which are sticky,
# nobody can exchange what is another's.
safe_folder() {
  local each found owner mode
  each=$(realpath -e -- "$1") || return
  while true; do
    found=$(stat -c '%u %a' -- "$each") || return
    read -r owner mode <<<"$found"
    [[ $owner == 0 || $owner == "$EUID" ]] || return
    [[ $(digits "$mode") -ge 1000 || ${mode: -2:1} != [2367] ]] || return
    [[ $(digits "$mode") -ge 1000 || ${mode: -1} != [2367] ]] || return
    if [[ $each == / ]]; then return; fi
    each=$(dirname -- "$each")
  done
}

# open_bundle: verify an archive and hand over to the installer in it, which comes back here with `handed` set. A folder
# carries no signature.
open_bundle() {
  if [[ -n $handed ]]; then
    if [[ -f $unpacked/signature ]]; then read_signature "$unpacked/signature"; fi
  elif [[ -d $bundle ]]; then
    ! verifies || fail "$bundle: a folder carries no signature, and bundles are verified here ($keys); \
give the archive: sudo edgeseg-camera --install BUNDLE.tar.gz"
    not_verified
    look "check the bundle: no byte of it may have changed"
    check_bundle
  else
    [[ -f $bundle ]] || fail "$bundle: no such file or folder; expected what \`edgeseg bundle\` wrote"
    open_archive
  fi
}

not_verified() { say "  NOTE not verified who made it: no key in $keys; to begin: install.sh --trust KEY.pem"; }

open_archive() {
  local place=${TMPDIR:-/var/tmp} own said archive=$bundle
  safe_folder "$place" || fail "TMPDIR is $place, where others may write; expected a folder of root's own, or /var/tmp"
  own=edgeseg-unpacked-$(cksum <<<"$base" | cut -d' ' -f1)
  if [[ $dry == no ]]; then rm -rf -- "$place/$own".*; fi # of one that was killed: we hold the lock
  check_room "$place" $(($(megabytes "$archive" --apparent-size --dereference) * 5 / 2)) "set TMPDIR to another folder"
  unpacked=$(mktemp -d "$place/$own.XXXXXX")
  copy_plain "$archive" "$unpacked/bundle" || fail "$archive: cannot be copied to $place; copy it again, or make room"
  look "verify who made the bundle"
  if verifies; then
    copy_plain "$archive.sig" "$unpacked/signature" || rm -f "$unpacked/signature"
    verify_copy "$archive" "$unpacked"
  else
    not_verified
  fi
  mkdir "$unpacked/new"
  said=$("$python" -I "$here/installer/unpack.py" "$unpacked/bundle" "$unpacked/new" 2>/dev/null) ||
    fail "$archive: ${said:-took too long to unpack; copy it again}"
  rm -f "$unpacked/bundle"
  bundle=$unpacked/new/$said
  look "check the bundle: no byte of it may have changed"
  check_bundle
  hand_over
}

# The new version's own installer goes on, with our lock. Later versions must take these options as they are.
hand_over() {
  local options=(--handed-over "$held" "$unpacked" --prefix "$prefix" --watch "$watch" "${workspace[@]}")
  if [[ -n $root ]]; then options+=(--root "$root"); fi
  if [[ $dry == yes ]]; then options+=(--dry-run); fi
  if [[ $start == no ]]; then options+=(--no-start); fi
  if [[ $older == yes ]]; then options+=(--allow-older); fi
  exec "$BASH" "$bundle/install.sh" "${options[@]}"
}

# The signature must be of this very bundle.
check_signed() {
  [[ -z $signed_id || ($signed_id == "$id" && $signed_target == "$target") ]] ||
    fail "refused: the signature is of $signed_id for $signed_target, the bundle is $id for $target; sign it again"
}

# Plain files and sane names come first: sha256sum opens whatever the list names, and waits for ever on a FIFO.
check_bundle() {
  local each odd names
  for each in SHA256SUMS manifest.json install.sh; do
    [[ -f $bundle/$each && ! -L $bundle/$each ]] ||
      fail "$bundle: no $each; expected a bundle, or give one: install.sh BUNDLE"
  done
  odd=$(in_bundle ! -type d ! -type f)
  [[ -z $odd ]] || fail "bundle refused, no plain files: $odd; copy it again"
  odd=$(in_bundle ! -regex "\./$sane_name\(/$sane_name\)*")
  [[ -z $odd ]] || fail "bundle refused, not of this bundle: $odd; unpack it into an empty folder"
  if [[ $(megabytes "$bundle/SHA256SUMS") -gt 4 ]] ||
    grep -vqxE "[0-9a-f]{64}  $sane_name(/$sane_name)*" "$bundle/SHA256SUMS" || [[ ! -s $bundle/SHA256SUMS ]]; then
    fail "bundle refused, changed or missing: SHA256SUMS; copy it again"
  fi
  names=$(cut -c67- "$bundle/SHA256SUMS" | sort)
  odd=$(cd -- "$bundle" && comm -13 <(echo "$names") <(find . -type f ! -path ./SHA256SUMS -printf '%P\n' | sort) | joined)
  [[ -z $odd ]] || fail "bundle refused, not of this bundle: $odd; unpack it into an empty folder"
  if ! odd=$(cd -- "$bundle" && sha256sum --check --quiet --strict SHA256SUMS 2>/dev/null); then
    odd=$(awk '{sub(/: FAILED.*/, ""); print}' <<<"${odd:-SHA256SUMS}" | joined)
    fail "bundle refused, changed or missing: $odd; copy it again"
  fi
  for each in requirements.txt build-requirements.txt; do
    if [[ -f $bundle/$each ]] && grep -vqxE '[A-Za-z0-9._-]+==[0-9A-Za-z.+!]+' "$bundle/$each"; then
      fail "bundle refused, $each is no list of NAME==VERSION; make the bundle again"
    fi
  done
}

# in_bundle TEST...: the names in it that pass a test of find, on one line.
in_bundle() { (cd -- "$bundle" && find . -mindepth 1 "$@" -printf '%P\n' | sort | joined); }

joined() { head -n 20 | paste -sd ' ' | cut -c-500; }

find_python() {
  has_python=$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    fail "$python does not run; install Python 3"
}

# read_manifest FOLDER: sets id, target, needs_python, machine, model, backend, edgeseg and budgets.
read_manifest() {
  local values
  values=$("$python" -I "$here/installer/manifest.py" "$1/manifest.json" 2>/dev/null) ||
    fail "${values:-$1/manifest.json: cannot be used; copy the bundle again}"
  { read -r id && read -r target && read -r needs_python && read -r machine && read -r model && read -r backend &&
    read -r edgeseg && budgets=$(cat); } <<<"$values"
  name="edgeseg $edgeseg, $(basename "$model" .onnx) ($id)"
}
