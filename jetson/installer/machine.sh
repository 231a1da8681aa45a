# Sourced by install.sh: this machine: whether the bundle can run here.
# shellcheck shell=bash

check_machine() {
  [[ $(uname -m) == "$machine" ]] || fail "the bundle is for $machine, this is $(uname -m); make one for this machine"
  check_system
  [[ $has_python == "$needs_python" ]] ||
    fail "$python is Python $has_python, the bundle is for $needs_python; make one for this system (it is for $target)"
  check_libraries
  check_room "$base" $((3 * $(megabytes "$bundle") + 200)) # unpacked wheels, the engine, and room to breathe
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

check_memory() {
  local total
  total=$(awk '/^(MemTotal|SwapTotal):/ {sum += $2} END {print int(sum / 1024)}' /proc/meminfo)
  say "  memory and swap $total MiB"
  if [[ $backend == tensorrt && $total -lt 6000 ]]; then
    say "  NOTE little memory for building an engine: add swap, or --workspace-mb 512 (README.md, Memory)"
  fi
}
