# Sourced by install.sh: a version: its files, packages, engine, self-test and settings.
# shellcheck shell=bash

make_version() {
  unfinished=$version
  rm -rf "$version" # of one that was ended
  mkdir -p "$version"
  cp -R "$bundle"/{model,golden,installer,*.json,camera.toml,edgeseg-camera@.service,*.sh,*.md,*.tsv} "$version/"
  l4t_release >"$version/jetson_linux"
  if [[ -n $signed_id ]]; then cp "$unpacked/signature" "$version/signature"; fi
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
