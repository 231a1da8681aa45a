# Sourced by install.sh: PREFIX/current and PREFIX/previous.
# shellcheck shell=bash

# version_of LINK: the name of the version that it leads to; empty if to none.
version_of() {
  local target
  target=$(readlink "$base/$1" 2>/dev/null || true)
  echo "${target##*/}"
}

# `previous.new` is ready before `current` is switched, so that end_switch can finish it whatever happens in between.
switch_version() {
  if [[ $was == "${version##*/}" ]]; then return; fi
  if [[ -n $was && $was != "$broken" ]]; then
    ln -sfnT "versions/$was" "$base/previous.new"
    sync "$base"
  fi
  put_link "versions/${version##*/}" "$base/current"
  end_switch
}

end_switch() {
  local next
  next=$(version_of previous.new)
  if [[ -z $next ]]; then return; fi
  if [[ $next == "$(version_of current)" ]]; then
    rm -f "$base/previous.new" # `current` was not switched
  else
    mv -fT "$base/previous.new" "$base/previous"
  fi
  sync "$base"
}

remove_others() {
  local each current previous
  current=$(version_of current)
  previous=$(version_of previous)
  for each in "$base"/versions/*; do
    if [[ ${each##*/} != "$current" && ${each##*/} != "$previous" ]]; then rm -rf "$each"; fi
  done
}
