# Sourced by install.sh: the service, and the cameras that run by it.
# shellcheck shell=bash

booted() { [[ -d $root/run/systemd/system ]] && command -v systemctl >/dev/null; }

# No clock of the day, which jumps when a Jetson without a battery finds a time server.
uptime_hundredths() {
  local up
  read -r up _ </proc/uptime
  digits "${up/./}"
}

# Building an engine and measuring take the GPU and the memory for themselves.
stop_cameras() {
  local each state now entered
  if ! booted; then return; fi
  now=$(uptime_hundredths)
  while read -r each _ state _; do
    cameras+=("$each")
    entered=$(digits "$(systemctl show --property=ActiveEnterTimestampMonotonic "$each" | tr -dc '[:digit:]')")
    if [[ $state == active && $((now - entered / 10000)) -ge $((watch * 100)) ]]; then wanted+=("$each"); fi
  done < <(systemctl list-units --plain --no-legend --state=active,activating,reloading 'edgeseg-camera@*.service')
  if [[ ${#cameras[@]} -gt 0 ]]; then systemctl stop "${cameras[@]}" || say "  not all could be stopped; going on"; fi
}

# Start what was stopped; `down` is what does not run then.
start_cameras() {
  local each list=("${cameras[@]}")
  cameras=() down=()
  if ! booted || [[ ${#list[@]} -eq 0 ]]; then return; fi
  systemctl reset-failed "${list[@]}" 2>/dev/null || true # restarts are counted from 0
  systemctl start --no-block "${list[@]}"
  for each in "${list[@]}"; do
    if stays_up "$each"; then
      say "  $each runs"
    else
      say "  $each does not run: journalctl -u $each"
      down+=("$each")
    fi
  done
}

# stays_up CAMERA: a service that is restarted for ever never fails, and in between it is active. One that is starting
# may build an engine for minutes: systemd ends what takes too long, which counts as a restart.
stays_up() {
  local found state restarts now seen=0 since='' end=$((SECONDS + 30))
  while true; do
    found=$(systemctl show --property=ActiveState --property=NRestarts "$1")
    state=$(sed -n 's/^ActiveState=//p' <<<"$found")
    restarts=$(digits "$(sed -n 's/^NRestarts=//p' <<<"$found")")
    if [[ $state == failed || $restarts -ge 2 ]]; then return 1; fi
    if [[ $state != active || $restarts -ne $seen ]]; then since='' seen=$restarts; fi
    case $state in
      active)
        now=$(uptime_hundredths)
        since=${since:-$now}
        if [[ $((now - since)) -ge $((watch * 100)) ]]; then return; fi
        ;;
      activating) ;;
      *) if [[ $SECONDS -ge $end ]]; then return 1; fi ;;
    esac
    sleep 0.5
  done
}

# lost_cameras: whether one is down that ran before.
lost_cameras() { [[ -n $(comm -12 <(printf '%s\n' "${down[@]}" | sort) <(printf '%s\n' "${wanted[@]}" | sort)) ]]; }

# A copy, no link into `current`: `systemctl enable` would follow that to one version and stay there, and systemd
# reads its files before other file systems are mounted. An update installs it before the link is switched, a rollback
# after: a power cut in between leaves the newer service file to the older version, which needs no more than it gives.
install_service() {
  local each text
  text=$(sed "s|/opt/edgeseg/|$prefix/|g" "$version/edgeseg-camera@.service") && put_file "$unit" 644 <<<"$text" || return
  for each in edgeseg edgeseg-camera; do
    if [[ -e $root/usr/local/bin/$each && ! -L $root/usr/local/bin/$each ]]; then
      say "  kept: /usr/local/bin/$each, which is not of this installer"
    else
      put_link "$prefix/current/venv/bin/$each" "$root/usr/local/bin/$each"
    fi
  done
  if booted; then systemctl daemon-reload; fi
}

# Only at a first installation: later it is the user who says which cameras start.
enable_cameras() {
  local file each
  for file in "$etc"/*.toml; do
    each="edgeseg-camera@$(basename "$file" .toml).service"
    if command -v systemctl >/dev/null; then
      systemctl ${root:+"--root=$root"} enable --quiet "$each"
      sync "$root"/etc/systemd/system/*.wants
    else
      say "  no systemctl here: enable $each yourself"
    fi
    if [[ $start == yes ]]; then cameras+=("$each"); fi
  done
}

remove_service() {
  local each
  if booted; then systemctl stop 'edgeseg-camera@*.service'; fi
  rm -rf "$root"/etc/systemd/system/*.wants/edgeseg-camera@*.service "$root"/etc/systemd/system/edgeseg-camera@*
  for each in edgeseg edgeseg-camera; do
    if [[ $(readlink "$root/usr/local/bin/$each") == "$prefix"/current/* ]]; then rm -f "$root/usr/local/bin/$each"; fi
  done
  if booted; then
    systemctl daemon-reload
    systemctl reset-failed 'edgeseg-camera@*.service' 2>/dev/null || true
  fi
}
