# Sourced by install.sh: what can be asked for.
# shellcheck shell=bash

install() {
  find_python
  open_bundle
  read_manifest "$bundle"
  check_signed
  look "check this machine for $name"
  check_machine
  version=$base/versions/$id
  if [[ $was == "$id"-+([0-9]) ]]; then version=$base/versions/$was; fi
  if [[ -f $version/tested ]]; then step "test what is installed already" try_installed; fi
  if [[ -f $version/tested ]]; then step "check the settings in $etc" check_settings; else new_version; fi
  step "write the settings, if there are none" write_settings
  step "install the service" install_service
  if [[ -z $was ]]; then step "let the cameras start at boot" enable_cameras; fi
  step "switch to $name" switch_version
  step "start the cameras" start_or_go_back
  if [[ -n $signed_id ]]; then step "note the time of its signature: older bundles are refused" note_newest; fi
  step "remove versions older than the previous one" remove_others
  report "installed: $name"
}

# report TEXT: what has come of it; not all is well if a camera does not run.
report() {
  doing=''
  if [[ $dry == yes ]]; then
    say "nothing was changed"
  elif [[ ${#down[@]} -eq 0 ]]; then
    say "$1"
  else
    fail "$1, but ${down[*]} does not run: journalctl -u ${down[0]}"
  fi
}

new_version() {
  step "copy the model and the settings to $version" make_version
  step "install the packages" install_packages
  step "check the settings in $etc" check_settings
  step "make the user edgeseg, who may use cameras and GPU" make_user
  step "stop the cameras that run" stop_cameras
  if [[ $backend == tensorrt ]]; then step "build the engine for this GPU: some minutes" build_engine; fi
  step "look at the machine" see_doctor
  step "self-test: the masks must be those of the golden frames" self_test
  step "put everything on the disk" mark_tested
}

# An installed version that fails is replaced beside itself: it may be what boots.
try_installed() {
  stop_cameras
  if [[ $backend == tensorrt ]]; then build_engine || true; fi
  if self_test; then return; fi
  say "  it fails: it is installed anew"
  broken=${version##*/}
  local number=2
  while [[ -e $base/versions/$id-$number ]]; do number=$((number + 1)); done
  version=$base/versions/$id-$number
}

# What ran with the version before must run with this one too.
start_or_go_back() {
  local list=("${cameras[@]}")
  start_cameras
  if ! lost_cameras || [[ -z $was || $was == "$(version_of current)" ]]; then return; fi
  cameras=("${list[@]}")
  go_back
  say "  with the version before:"
  start_cameras
  remove_others
  fail "the cameras do not run with $name; $(cat "$base/current/tested") is back"
}

# The link before all that could fail.
go_back() {
  put_link "versions/$was" "$base/current"
  if [[ -n $had ]]; then put_link "versions/$had" "$base/previous"; else rm -f "$base/previous"; fi
  if booted; then systemctl stop "${cameras[@]}" || true; fi
  version=$base/versions/$was
  install_service || say "  WARNING: its service file could not be installed: install.sh --check"
}

# Python may be what is broken: nothing that needs it is more than a warning.
rollback() {
  version=$base/versions/$had
  [[ -f $version/tested && $had != "$was" ]] ||
    fail "no version before $(cat "$base/current/tested" 2>/dev/null || echo this one) to go back to"
  name=$(cat "$version/tested")
  step "check the settings with $name" warn check_settings
  step "stop the cameras that run" stop_cameras
  if [[ -f $version/model/model.engine ]]; then
    step "build its engine anew, if JetPack has changed" warn build_engine
  fi
  step "switch to $name" switch_version
  step "install its service" install_service
  step "start the cameras" start_or_go_back
  report "current: $name"
}

warn() { "$@" || say "  WARNING: this failed; going on"; }

check() {
  version=$base/versions/$was
  [[ -f $version/tested ]] || fail "nothing is installed in $base"
  find_python
  read_manifest "$version"
  step "see whether JetPack has changed" see_update
  step "see whose bundles are installed here" list_keys
  step "stop the cameras that run" stop_cameras
  step "install its service, where something was ended" install_service
  if [[ $backend == tensorrt ]]; then step "build the engine anew, if JetPack has changed" build_engine; fi
  step "look at the machine" see_doctor
  step "self-test of $name" self_test
  step "check the settings in $etc" check_settings
  step "start the cameras" start_cameras
  report "it works: $name"
}

uninstall() {
  step "stop the cameras, remove the service" remove_service
  step "remove $base" remove_program
  if [[ $keep != yes ]]; then step "remove $etc" rm -rf "$etc"; fi
  step "remove user, state and cache" remove_user
  if [[ $dry == yes ]]; then say "nothing was changed"; else say "removed"; fi
}

remove_program() {
  rm -rf "$base"/{current,previous}{,.new} "$base/versions"
  if [[ -d $base ]]; then rmdir --ignore-fail-on-non-empty "$base"; fi
}

remove_user() {
  rm -rf "$root/var/cache/edgeseg"
  if [[ -d $root/var/lib/edgeseg && -n $(find "$root/var/lib/edgeseg" ! -type d -print -quit) ]]; then
    say "  kept: $root/var/lib/edgeseg, which cameras have recorded, and the user edgeseg, who owns it"
    return
  fi
  rm -rf "$root/var/lib/edgeseg"
  if [[ -z $root ]] && getent passwd edgeseg >/dev/null; then userdel edgeseg; fi
}
