# Sourced by install.sh: what it says, and files that are whole whatever ends it.
# shellcheck shell=bash

# Part of what is said comes from files of others: nothing in it may move a terminal's cursor.
fail() {
  printf 'install.sh: %s\n' "${*//[[:cntrl:]]/?}" >&2
  exit 1
}

wrong_usage() {
  printf 'install.sh: %s; see install.sh --help\n' "${*//[[:cntrl:]]/?}" >&2
  exit 2
}

say() { printf '%s\n' "${*//[[:cntrl:]]/?}"; }

# step TEXT COMMAND...: say what comes, and do it; a dry run only says it.
step() {
  doing=$1
  if [[ $dry == yes ]]; then
    say "- would $1"
  else
    say "- $1"
    "${@:2}"
  fi
}

# look TEXT: say what is looked at, in a dry run too.
look() {
  doing=$1
  say "- $1"
}

# --- numbers ---

# digits TEXT: the number, without leading zeros; 0 for what is none. Bash runs what it finds in arithmetic, so
# whatever was read passes through here before.
digits() {
  local text=$1
  [[ $text =~ ^[0-9]{1,15}$ ]] || text=0
  echo $((10#$text))
}

# megabytes PATH [OPTION...]: of a file or folder; only the first field of the first line, for the rest is its name.
megabytes() { digits "$(du -sm "${@:2}" -- "$1" 2>/dev/null | awk 'NR == 1 {print $1}')"; }

# check_room FOLDER MEGABYTES REMEDY
check_room() {
  local folder=$1 free
  while [[ ! -d $folder ]]; do folder=$(dirname -- "$folder"); done
  free=$(($(digits "$(df --output=avail -k -- "$folder" | awk 'NR == 2 {print $1}')") / 1024))
  [[ $free -ge $2 ]] || fail "$free MiB free in $folder; expected $2: make room${3:+, or $3}"
  say "  $free MiB free in $folder, $2 needed"
}

# --- files that are whole, also after a power cut ---

# Joined by &&, for `set -e` does not hold in all callers: nothing half written may get the name.

# put_file FILE MODE: write standard input.
put_file() {
  local folder=${1%/*}
  mkdir -p "$folder" && cat >"$1.new" && chmod "$2" "$1.new" && sync "$1.new" "$folder" && mv -fT "$1.new" "$1" &&
    sync "$folder"
}

# put_link TARGET LINK
put_link() {
  local folder=${2%/*}
  mkdir -p "$folder" && ln -sfnT "$1" "$2.new" && sync "$folder" && mv -fT "$2.new" "$2" && sync "$folder"
}
