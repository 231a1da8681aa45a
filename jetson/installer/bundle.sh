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

# open_bundle: unpack an archive into a folder of our own; `bundle` is the folder in it then.
open_bundle() {
  if [[ -d $bundle ]]; then return; fi
  [[ -f $bundle ]] || fail "$bundle: no such file or folder; expected what \`edgeseg bundle\` wrote"
  local place=${TMPDIR:-/var/tmp} own said
  safe_folder "$place" || fail "TMPDIR is $place, where others may write; expected a folder of root's own, or /var/tmp"
  own=edgeseg-unpacked-$(cksum <<<"$base" | cut -d' ' -f1)
  if [[ $dry == no ]]; then rm -rf -- "$place/$own".*; fi # of one that was killed: we hold the lock
  check_room "$place" $(($(megabytes "$bundle" --apparent-size --dereference) * 3 / 2)) "set TMPDIR to another folder"
  unpacked=$(mktemp -d "$place/$own.XXXXXX")
  said=$("$python" -I "$here/installer/unpack.py" "$bundle" "$unpacked" 2>/dev/null) ||
    fail "$bundle: ${said:-took too long to unpack; copy it again}"
  bundle=$unpacked/$said
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
