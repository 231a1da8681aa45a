#!/usr/bin/env bash
# Installs edgeseg on a Jetson from a bundle, without network; updates it, puts the version before it back, removes it.
#
# PREFIX/versions/ID holds one version; it holds the file `tested` once it has passed its self-test. PREFIX/current and
# PREFIX/previous are links to versions, replaced by rename(2) with fsync before and after. So whatever ends this script,
# a power cut too, `current` is the old version or the new one, whole and tested. Running it again mends what is left.
set -euo pipefail
shopt -s extglob nullglob
umask 022
export LC_ALL=C.UTF-8 PYTHONNOUSERSITE=1
not_here='import sys; sys.path = [each for each in sys.path if each]' # python -c looks in the current folder first

usage() {
  cat <<'END'
install.sh [BUNDLE]      install or update; BUNDLE is a file of `edgeseg bundle` or its folder  [default: this folder]
install.sh --check       what is installed: engine anew where JetPack has changed, doctor, self-test
install.sh --rollback    put the version before this one back
install.sh --uninstall   remove everything but what cameras have recorded
  --dry-run              check bundle and machine, say what would be done, change nothing
  --keep-settings        with --uninstall: leave /etc/edgeseg
  --no-start             a first installation starts no camera; they start at the next boot
  --workspace-mb N       memory that the engine may use while it is built; for boards of 4 GB  [default: no limit]
  --watch N              seconds for which a camera must run before it counts as running  [default: 20]
  --prefix DIR           [default: /opt/edgeseg]
  --root DIR             a folder in which all paths are taken, as of a system that is being prepared
END
}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

wrong_usage() {
  echo "install.sh: $*; see install.sh --help" >&2
  exit 2
}

say() { printf '%s\n' "$*"; }

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

# --- the bundle ---

open_bundle() {
  if [[ -d $bundle ]]; then return; fi
  [[ -f $bundle ]] || fail "$bundle: no such file or folder; expected what \`edgeseg bundle\` wrote"
  local place=${TMPDIR:-/var/tmp} own said
  own=edgeseg-unpacked-$(cksum <<<"$base" | cut -d' ' -f1)
  if [[ $dry == no ]]; then rm -rf "$place/$own".*; fi # of one that was killed: we hold the lock
  check_room "$place" $(($(du -sm --apparent-size "$bundle" | cut -f1) * 3 / 2)) "set TMPDIR to another folder"
  unpacked=$(mktemp -d "$place/$own.XXXXXX")
  said=$(tar -xzf "$bundle" -C "$unpacked" --no-same-owner 2>&1) ||
    fail "$bundle: cannot be unpacked into $place ($(sed -n '/./{p;q}' <<<"$said")); copy it again, or make room"
  local folders=("$unpacked"/*/)
  [[ ${#folders[@]} -eq 1 ]] || fail "$bundle: holds ${#folders[@]} folders; expected one, as \`edgeseg bundle\` writes"
  bundle=${folders[0]%/}
}

check_bundle() {
  local each
  for each in SHA256SUMS manifest.json; do
    [[ -f $bundle/$each ]] || fail "$bundle: no $each; expected a bundle, or give one: install.sh BUNDLE"
  done
  local names
  if ! names=$(cd "$bundle" && sha256sum --check --quiet --strict SHA256SUMS 2>/dev/null); then
    names=$(awk '{sub(/: FAILED.*/, ""); print}' <<<"${names:-SHA256SUMS}" | paste -sd ' ')
    fail "bundle refused, changed or missing: $names; copy it again"
  fi
  names=$(cd "$bundle" && comm -13 <(sed 's/^[^ ]* [ *]//' SHA256SUMS | sort) \
    <(find . ! -type d ! -path ./SHA256SUMS -printf '%P\n' | sort) | paste -sd ' ')
  [[ -z $names ]] || fail "bundle refused, not of this bundle: $names; unpack it into an empty folder"
  names=$(cd "$bundle" && find . ! -type d ! -type f -printf '%P\n' | paste -sd ' ')
  [[ -z $names ]] || fail "bundle refused, no plain files: $names; copy it again"
}

find_python() {
  has_python=$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    fail "$python does not run; install Python 3"
}

# read_manifest FOLDER: sets id, target, needs_python, machine, model, backend, edgeseg and budgets.
read_manifest() {
  local values
  values=$("$python" -I - "$1/manifest.json" <<'PY'
import json
import re
import sys

with open(sys.argv[1]) as file:
    found = json.load(file)
found["model"] = found["model"]["file"]
name = r"[0-9A-Za-z][0-9A-Za-z._+-]*"
expected = {
    "format": "1", "id": name, "target": "jetpack6|jetpack7|debian12", "python": r"3\.\d+", "machine": name,
    "model": rf"model/{name}\.onnx", "backend": "tensorrt|onnxruntime-cuda|onnxruntime-cpu", "edgeseg": name,
}
for key, pattern in expected.items():
    if not re.fullmatch(pattern, str(found.get(key))):
        sys.exit(f"{sys.argv[1]}: {key} is {found.get(key)!r}; expected {pattern}: use the install.sh of that bundle")
    print(found[key])
limit = found.get("limits", {}).get("equal_pixels")
if not isinstance(limit, (float, int)) or not 0 < limit <= 1:
    sys.exit(f"{sys.argv[1]}: limits.equal_pixels is {limit!r}; expected a share above 0: without it nothing is tested")
print("[masks]", *(f"{key} = {float(limit)}" for key, limit in found["limits"].items()), sep="\n")
PY
  ) || fail "$1: its manifest.json cannot be used"
  { read -r _ && read -r id && read -r target && read -r needs_python && read -r machine && read -r model &&
    read -r backend && read -r edgeseg && budgets=$(cat); } <<<"$values"
  name="edgeseg $edgeseg, $(basename "$model" .onnx) ($id)"
}

# --- this machine ---

check_machine() {
  [[ $(uname -m) == "$machine" ]] || fail "the bundle is for $machine, this is $(uname -m); make one for this machine"
  check_system
  [[ $has_python == "$needs_python" ]] ||
    fail "$python is Python $has_python, the bundle is for $needs_python; make one for this system (it is for $target)"
  check_libraries
  check_room "$base" $((3 * $(du -sm "$bundle" | cut -f1) + 200)) # unpacked wheels, the engine, and room to breathe
  check_memory
}

check_system() {
  local release os jetpack
  if [[ $target == debian12 ]]; then
    os=$(sed -n 's/^VERSION_CODENAME=//p' "$root/etc/os-release" 2>/dev/null || true)
    [[ $os == bookworm ]] || fail "this is ${os:-no Debian}, the bundle is for Debian 12 (bookworm)"
    say "  Debian 12"
    return
  fi
  release=$(l4t_release)
  [[ -n $release ]] || fail "no Jetson (no /etc/nv_tegra_release), the bundle is for $target"
  jetpack=$(jetpack_row "$release" "$bundle/jetpacks.tsv" | cut -f1)
  if [[ -z $jetpack ]]; then
    jetpack=$(jetpack_row "${release%%.*}" "$bundle/jetpacks.tsv" | cut -f1)
    [[ -n $jetpack ]] || fail "Jetson Linux $release is of no JetPack that this bundle knows: $(jetpack_names)"
    say "  NOTE Jetson Linux $release is not known here, taken for JetPack $jetpack"
  fi
  [[ jetpack${jetpack%%.*} == "$target" ]] ||
    fail "Jetson Linux $release is of JetPack $jetpack, the bundle is for $target; make one: --jetpack ${jetpack%%.*}"
  say "  Jetson Linux $release, JetPack $jetpack"
}

l4t_release() {
  sed -nE 's/^# R([0-9]+) \(release\), REVISION: ([0-9.]+).*/\1.\2/p' "$root/etc/nv_tegra_release" 2>/dev/null || true
}

# jetpack_row RELEASE TABLE: the row of the table of JetPacks that a Jetson Linux is of; of its first number alone the
# last row. Nothing where there is none. The rule is edgeseg.runtime.machine.jetpacks.jetpack_of's.
jetpack_row() {
  awk -F'\t' -v release="$1" '
    /^#/ || $2 == "-" { next }
    {
      size = split($2, first, "."); asked = split(release, is, ".")
      if (first[1] != is[1]) next
      if (asked == 1 || size == 1 || (first[2] == is[2] && first[3] + 0 <= is[3] + 0)) row = $0
    }
    END { if (row) print row }' "$2" 2>/dev/null || true
}

jetpack_names() { awk -F'\t' '!/^#/ && $2 != "-" {print $1 " (" $2 ")"}' "$bundle/jetpacks.tsv" | paste -sd ' '; }

# What an update of JetPack since the installation has broken. What the next one would break, doctor says.
see_update() {
  local before now old new
  if [[ $target == debian12 ]]; then return; fi
  before=$(jetpack_row "$(cat "$version/jetson_linux" 2>/dev/null)" "$version/jetpacks.tsv")
  now=$(jetpack_row "$(l4t_release)" "$version/jetpacks.tsv")
  old=$(cut -f1 <<<"$before") new=$(cut -f1 <<<"$now")
  if [[ $has_python != "$needs_python" ]]; then
    fail "JetPack ${old:-of Python $needs_python} has become ${new:-another}, with Python $has_python: $name no longer \
starts; install a bundle made for this system${new:+: --jetpack ${new%%.*}}"
  fi
  if [[ -z $old || -z $new || $old == "$new" ]]; then return; fi
  say "  JetPack $old has become $new"
  old=$(cut -f5 <<<"$before") new=$(cut -f5 <<<"$now")
  if [[ $old != "$new" ]]; then say "  TensorRT $old has become $new: the engine is built anew"; fi
}

check_libraries() {
  local found packages="nvidia-jetpack"
  if [[ $target == debian12 ]]; then packages="python3-opencv"; fi
  found=$("$python" -c "$not_here"'; import cv2
gstreamer = any("GStreamer" in line and "YES" in line for line in cv2.getBuildInformation().splitlines())
print(cv2.__version__, "with GStreamer" if gstreamer else "WITHOUT GStreamer: csi:// and gst:// will not open")' \
    2>/dev/null) || fail "$python has no cv2; sudo apt-get install $packages"
  say "  OpenCV $found"
  if [[ $backend == tensorrt ]]; then
    found=$("$python" -c "$not_here"'; import tensorrt; print(tensorrt.__version__)' 2>/dev/null) ||
      fail "$python has no tensorrt; sudo apt-get install nvidia-jetpack"
    [[ $found != [0-7].* && $found != 8.[0-5].* ]] || fail "TensorRT $found; expected 8.6 or newer: update JetPack"
    say "  TensorRT $found"
  fi
  if [[ -f $bundle/build-requirements.txt ]]; then
    PATH=$cuda_path command -v nvcc >/dev/null ||
      fail "no nvcc, which compiles pycuda; sudo apt-get install nvidia-jetpack (or cuda-nvcc, libcurand-dev)"
    command -v g++ >/dev/null || fail "no g++, which compiles pycuda; sudo apt-get install g++"
    found=$("$python" -c "$not_here"'; import sysconfig; print(sysconfig.get_path("include"))')
    [[ -f $found/Python.h ]] || fail "no $found/Python.h, with which pycuda compiles; sudo apt-get install python3-dev"
    say "  nvcc $(PATH=$cuda_path nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p'), g++, Python.h"
  fi
}

# check_room FOLDER MEGABYTES REMEDY
check_room() {
  local folder=$1 free
  while [[ ! -d $folder ]]; do folder=$(dirname "$folder"); done
  free=$(($(df -Pk "$folder" | awk 'NR == 2 {print $4}') / 1024))
  [[ $free -ge $2 ]] || fail "$free MiB free in $folder; expected $2: make room${3:+, or $3}"
  say "  $free MiB free in $folder, $2 needed"
}

check_memory() {
  local total
  total=$(awk '/^(MemTotal|SwapTotal):/ {sum += $2} END {print int(sum / 1024)}' /proc/meminfo)
  say "  memory and swap $total MiB"
  if [[ $backend == tensorrt && $total -lt 6000 ]]; then
    say "  NOTE little memory for building an engine: add swap, or --workspace-mb 512 (README.md, Memory)"
  fi
}

# --- a version ---

make_version() {
  unfinished=$version
  rm -rf "$version" # of one that was ended
  mkdir -p "$version"
  cp -R "$bundle"/{model,golden,manifest.json,camera.toml,edgeseg-camera@.service,*.sh,*.md,*.tsv} "$version/"
  l4t_release >"$version/jetson_linux"
  chmod -R u=rwX,go=rX "$version"
  chmod 755 "$version/install.sh"
  if [[ $model != model/model.onnx ]]; then
    ln -s "${model##*/}" "$version/model/model.onnx" # settings outlive a model's name
  fi
  "$python" -I -m venv --system-site-packages --without-pip "$version/venv" # Ubuntu has no ensurepip without python3-venv
}

install_packages() {
  local wheels=("$bundle"/wheels/pip-*.whl)
  [[ ${#wheels[@]} -eq 1 ]] || fail "the bundle holds ${#wheels[@]} wheels of pip; expected one"
  local pip=("$version/venv/bin/python" "${wheels[0]}/pip" --isolated --disable-pip-version-check install --quiet
    --no-index --find-links "$bundle/wheels" --ignore-installed --no-cache-dir --no-warn-script-location
    --root-user-action ignore)
  if [[ -f $bundle/build-requirements.txt ]]; then
    say "  compiling what has no wheel: some minutes"
    "${pip[@]}" -r "$bundle/build-requirements.txt"
    PATH=$cuda_path CPATH=/usr/local/cuda/include LIBRARY_PATH=/usr/local/cuda/lib64:/usr/local/cuda/lib64/stubs \
      "${pip[@]}" --no-build-isolation -r "$bundle/requirements.txt"
  else
    "${pip[@]}" -r "$bundle/requirements.txt"
  fi
}

make_user() {
  if [[ -n $root ]]; then return; fi
  if ! getent passwd edgeseg >/dev/null; then
    useradd --system --user-group --no-create-home --home-dir /var/lib/edgeseg --shell /usr/sbin/nologin edgeseg
  fi
  local group
  for group in video render; do # both: CUDA opens /dev/nvmap and /dev/dri/renderD*
    if getent group "$group" >/dev/null; then usermod --append --groups "$group" edgeseg; fi
  done
}

# as_user COMMAND...: as the cameras will run it.
as_user() {
  if [[ -n $root || $EUID -ne 0 ]]; then "$@"; else runuser -u edgeseg -- env HOME=/nonexistent "$@"; fi
}

build_engine() { "$version/venv/bin/edgeseg" engine build "$version/model/model.onnx" --if-stale "${workspace[@]}"; }

see_doctor() { as_user "$version/venv/bin/edgeseg" doctor; }

self_test() {
  local folder status=0
  folder=$(mktemp -d)
  printf '%s\n' "$budgets" >"$folder/budgets.toml"
  chmod 755 "$folder"
  if [[ -z $root && $EUID -eq 0 ]]; then chown edgeseg "$folder"; fi
  as_user "$version/venv/bin/edgeseg" replay "$version/golden" --model "$version/model/model.onnx" \
    --backend "$backend" --budgets "$folder/budgets.toml" --json "$folder/result.json" || status=$?
  if [[ $status -eq 0 ]]; then
    "$python" -I - "$folder/result.json" <<'PY' || status=$?
import json, sys
with open(sys.argv[1]) as file:
    found = json.load(file)
ms = found["frame"]["p50"]
print(f"  {found['masks']['equal_pixels']:.3%} of the pixels as at home, {ms:.1f} ms a frame, {1e3 / ms:.1f} a second")
PY
  fi
  rm -rf "$folder"
  return "$status"
}

# Before the link is switched everything of the version must be on the disk, and the mark after everything.
mark_tested() {
  sync -f "$version"
  put_file "$version/tested" 644 <<<"$name"
  unfinished=''
  sync "$base/versions" "$base"
}

# Settings that the version does not take are found before it is switched to.
check_settings() {
  local file own said name files=("$etc"/*.toml)
  if [[ ${#files[@]} -eq 0 ]]; then files=("$version/camera.toml"); fi
  for file in "${files[@]}"; do
    own=${file%/*}/.checked.toml # in the same folder: relative paths begin there
    name=${file##*/} name=${name%.toml}
    sed "s|$prefix/current/|$version/|g; s|/opt/edgeseg/current/|$version/|g" "$file" >"$own"
    if ! said=$(STATE_DIRECTORY=$root/var/lib/edgeseg/$name RUNTIME_DIRECTORY=$root/run/edgeseg/$name \
      "$version/venv/bin/edgeseg-camera" --config "$own" --check-config 2>&1); then
      rm -f "$own"
      echo "install.sh: ${said//"$own"/"$file"}"$'\n'"this version does not take the settings in $file; correct them" >&2
      return 1
    fi
    rm -f "$own"
    note_places "$file" <<<"$said"
  done
}

# note_places SETTINGS: of the report on standard input, name what the service may not write. Root's check may.
note_places() {
  local path
  while read -r path; do
    case ${path#"$root"} in
      /var/lib/edgeseg/* | /run/edgeseg/* | /tmp/*) ;;
      *) say "  NOTE $1 writes $path: the service may only with ReadWritePaths= (README.md, Cameras and settings)" ;;
    esac
  done < <(sed -nE 's,^(output|writes) +((file|unix|record)://)?(/.*),\4,p')
}

write_settings() {
  local files=("$etc"/*.toml)
  if [[ ${#files[@]} -eq 0 ]]; then
    sed "s|/opt/edgeseg/|$prefix/|g" "$version/camera.toml" | put_file "$etc/camera.toml" 644
  else
    say "  kept: ${files[*]}; the bundle's own are in $version/camera.toml"
  fi
}

# --- current and previous ---

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

# --- the service ---

booted() { [[ -d $root/run/systemd/system ]] && command -v systemctl >/dev/null; }

# No clock of the day, which jumps when a Jetson without a battery finds a time server.
uptime_hundredths() {
  local up
  read -r up _ </proc/uptime
  echo $((10#${up/./}))
}

# Building an engine and measuring take the GPU and the memory for themselves.
stop_cameras() {
  local each state now entered
  if ! booted; then return; fi
  now=$(uptime_hundredths)
  while read -r each _ state _; do
    cameras+=("$each")
    entered=$(systemctl show --property=ActiveEnterTimestampMonotonic "$each" | tr -dc '[:digit:]') || entered=0
    if [[ $state == active && $((now - ${entered:-0} / 10000)) -ge $((watch * 100)) ]]; then wanted+=("$each"); fi
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
    restarts=$(sed -n 's/^NRestarts=//p' <<<"$found")
    if [[ $state == failed || ${restarts:=0} -ge 2 ]]; then return 1; fi
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

# --- what can be asked for ---

install() {
  open_bundle
  look "check the bundle: no byte of it may have changed"
  check_bundle
  find_python
  read_manifest "$bundle"
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

# Nothing but what is ours: the prefix may be a folder that holds other things.
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

# --- start and end ---

at_exit() {
  local status=$?
  trap '' INT TERM HUP
  set +e
  if [[ -n $unpacked ]]; then rm -rf "$unpacked"; fi
  if [[ -n $unfinished ]]; then
    rm -rf "$unfinished"
    rmdir --ignore-fail-on-non-empty "$base/versions" "$base" 2>/dev/null
  fi
  if [[ $status -ne 0 && -n $doing ]]; then
    echo "install.sh: ended at: $doing; current: $(cat "$base/current/tested" 2>/dev/null || echo nothing)" >&2
  fi
  if [[ ${#cameras[@]} -gt 0 ]] && booted; then systemctl start --no-block "${cameras[@]}"; fi
  exit "$status"
}

# One at a time. The folder itself is locked: a file would be left.
lock() {
  if [[ $dry == yes ]]; then return; fi
  [[ $EUID -eq 0 || -n $root ]] || fail "needs root: sudo $0"
  mkdir -p "$(dirname "$base")"
  exec {held}<"$(dirname "$base")"
  flock -n "$held" || fail "another install.sh is at work for $base; wait for it"
}

main() {
  local do=install here
  here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
  bundle='' prefix='' root='' dry=no keep=no start=yes watch=20 workspace=()
  while [[ $# -gt 0 ]]; do
    case $1 in
      --check | --rollback | --uninstall) do=${1#--} ;;
      --dry-run) dry=yes ;;
      --keep-settings) keep=yes ;;
      --no-start) start=no ;;
      --prefix | --root)
        [[ ${2:-} == /* ]] || wrong_usage "$1 ${2:-}; expected a whole path"
        printf -v "${1#--}" '%s' "${2%/}"
        shift
        ;;
      --watch | --workspace-mb)
        [[ ${2:-} == +([0-9]) ]] || wrong_usage "$1 ${2:-}; expected a whole number"
        case $1 in --watch) watch=$((10#$2)) ;; *) workspace=("$1" "$2") ;; esac
        shift
        ;;
      -h | --help)
        usage
        return
        ;;
      -*) wrong_usage "no option $1" ;;
      *)
        [[ -z $bundle && $do == install ]] || wrong_usage "$1: one bundle at most, and only to install"
        bundle=$(realpath -m "$1")
        ;;
    esac
    shift
  done
  if [[ -z $prefix && -z $root && -f $here/tested ]]; then prefix=${here%/versions/*}; fi # run from what it installed
  prefix=${prefix:-/opt/edgeseg}
  bundle=${bundle:-$here}
  base=$root$prefix etc=$root/etc/edgeseg unit=$root/etc/systemd/system/edgeseg-camera@.service
  python=${PYTHON:-/usr/bin/python3} cuda_path=$PATH:/usr/local/cuda/bin
  doing='' version='' unfinished='' unpacked='' broken='' cameras=() wanted=() down=()
  cd /
  trap at_exit EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  lock
  if [[ $dry == no ]]; then rm -f "$base/current.new" && end_switch; fi
  was=$(version_of current) had=$(version_of previous)
  "$do"
}

main "$@"
