#!/usr/bin/env bash
# Measures models on this Jetson: edgeseg's benchmark, and trtexec beside it; one result file to send to others.
# Power mode and clocks are noted; they are set only when asked, and put back whatever happens.
set -euo pipefail
export LC_ALL=C.UTF-8
not_here='import sys; sys.path = [each for each in sys.path if each]' # python -c looks in the current folder first

usage() {
  cat <<'END'
benchmark.sh [MODEL...]   ONNX files, one a precision  [default: those in /opt/edgeseg/current/model]
  --out FILE              the result  [default: benchmark-BOARD-DATE.json]
  --seconds N             how long to measure each model  [default: 60]
  --source SOURCE         a video file or a folder of pictures  [default: drawn scenes]
  --mode ID               set this power mode for the time (nvpmodel -m ID); needs root
  --clocks                lock the clocks at their highest for the time (jetson_clocks); needs root
The result is one that `edgeseg benchmark --compare A B` reads; its key "jetson" holds what this script adds.
END
}

fail() {
  echo "benchmark.sh: $*" >&2
  exit 1
}

wrong_usage() {
  echo "benchmark.sh: $*; see benchmark.sh --help" >&2
  exit 2
}

# note NAME COMMAND...: keep what a command says; empty where it is not there.
note() {
  local name=$1
  shift
  if command -v "$1" >/dev/null; then "$@" >"$work/notes/$name" 2>&1 </dev/null || true; fi
}

note_state() {
  note "$1.power_mode" nvpmodel -q
  note "$1.clocks" jetson_clocks --show
  note "$1.temperatures_and_power" timeout 2 tegrastats --interval 500
  note "$1.memory" free -m
}

power_mode() { nvpmodel -q 2>/dev/null | grep -Ex '[0-9]+' || true; }

set_power_mode() {
  command -v nvpmodel >/dev/null || fail "no nvpmodel; --mode is for a Jetson"
  old_mode=$(power_mode)
  [[ $old_mode != "$mode" ]] || { old_mode='' && return; }
  nvpmodel -m "$mode" >/dev/null <<<NO || fail "nvpmodel -m $mode failed; sudo, and see /etc/nvpmodel.conf for modes"
  [[ $(power_mode) == "$mode" ]] || fail "power mode $mode comes only with a reboot; boot into it, then measure"
}

lock_clocks() {
  command -v jetson_clocks >/dev/null || fail "no jetson_clocks; --clocks is for a Jetson"
  jetson_clocks --store "$work/clocks" >/dev/null || fail "jetson_clocks --store failed; sudo"
  locked=yes
  jetson_clocks >/dev/null || fail "jetson_clocks failed; sudo"
}

put_back() {
  local status=$?
  trap '' INT TERM HUP
  set +e
  if [[ $locked == yes ]]; then jetson_clocks --restore "$work/clocks" >/dev/null || status=1; fi
  if [[ -n $old_mode ]]; then nvpmodel -m "$old_mode" >/dev/null <<<NO || status=1; fi
  if [[ $status -ne 0 && $locked$old_mode != no ]]; then
    echo "benchmark.sh: clocks and power mode should be as before; see nvpmodel -q and jetson_clocks --show" >&2
  fi
  rm -rf "$work"
  exit "$status"
}

no_camera_runs() {
  local running
  if ! command -v systemctl >/dev/null; then return; fi
  running=$(systemctl list-units --plain --no-legend --state=active,activating 'edgeseg-camera@*.service' \
    2>/dev/null | awk '{print $1}' | paste -sd ' ') || true # systemctl fails where systemd does not run
  [[ -z $running ]] || fail "a camera takes the GPU: sudo systemctl stop $running"
}

# What is measured for minutes must have a place to go.
out_can_be_written() {
  local probe
  probe=$(dirname "$out")/.$(basename "$out").partial
  [[ ! -d $out ]] || fail "--out $out is a folder; give a file name"
  { : >"$probe"; } 2>/dev/null || fail "--out $out cannot be written; give a file in a folder that is there"
  rm -f "$probe"
}

# An engine in this folder for each model, where TensorRT works; `subjects` is what is measured.
build_engines() {
  local model engine
  subjects=()
  for model in "${models[@]}"; do
    engine=$work/engines/$((${#subjects[@]} + 1))-$(basename "$model" .onnx).engine # fp32/model.onnx int8/model.onnx
    if [[ $has_tensorrt == no ]]; then
      subjects+=("$model")
      continue
    fi
    if [[ -f ${model%.onnx}.engine && -f ${model%.onnx}.engine.json ]]; then
      cp "${model%.onnx}.engine" "$engine"
      cp "${model%.onnx}.engine.json" "$engine.json"
    fi
    "$edgeseg" engine build "$model" --out "$engine" --if-stale
    subjects+=("$engine")
  done
}

run_trtexec() {
  local subject
  if [[ -z $trtexec ]]; then
    echo "no trtexec here: edgeseg's own figures only"
    return
  fi
  for subject in "${subjects[@]}"; do
    if [[ $subject != *.engine ]]; then continue; fi
    echo "trtexec on $(basename "$subject")"
    "$trtexec" "--loadEngine=$subject" "--duration=$seconds" --warmUp=2000 --useCudaGraph \
      >"$work/trtexec/$(basename "$subject")" 2>&1 || echo "  it failed; what it said is in the result"
    grep -E 'Throughput:|GPU Compute Time:|Latency:' "$work/trtexec/$(basename "$subject")" | sed 's/^.*\[I\] /  /' || true
  done
}

write_result() {
  "$python" -I - "$work" "$out" <<'PY'
import json
import re
import sys
from pathlib import Path

work, out = (Path(each) for each in sys.argv[1:])
found = json.loads((work / "benchmark.json").read_text())
notes = {path.name: path.read_text(errors="replace").strip() for path in sorted((work / "notes").iterdir())}
trtexec = {}
for path in sorted((work / "trtexec").iterdir()):
    text = path.read_text(errors="replace")
    rate = re.search(r"Throughput: ([\d.]+) qps", text)
    times = re.search(r"GPU Compute Time: (.*)", text)
    values = re.findall(r"(\w+(?:\(\d+%\))?) = ([\d.]+) ms", times[1]) if times else []
    trtexec[path.name] = {
        "frames_per_second": float(rate[1]) if rate else None,
        "gpu_compute_ms": {name: float(value) for name, value in values},
        "said": text[-8000:],
    }
found["jetson"] = {"notes": notes, "trtexec": trtexec}
partial = out.with_name(f".{out.name}.partial")
partial.write_text(json.dumps(found, indent=1) + "\n")
partial.replace(out)
precisions = {each["summary"]["precision"] for each in found["results"]}
missing = [name for name in ("fp32", "fp16", "int8") if name not in precisions]
if missing:
    print(f"not measured: {', '.join(missing)}; edgeseg export --precision writes them on the workstation")
print(f"result: {out}")
PY
}

main() {
  local default=/opt/edgeseg/current
  models=() out='' seconds=60 source=scenes:// mode='' clocks=no locked=no old_mode=''
  while [[ $# -gt 0 ]]; do
    case $1 in
      --out | --seconds | --source | --mode)
        [[ -n ${2:-} ]] || wrong_usage "$1 without a value"
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --clocks) clocks=yes ;;
      -h | --help)
        usage
        return
        ;;
      -*) wrong_usage "no option $1" ;;
      *) models+=("$1") ;;
    esac
    shift
  done
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || wrong_usage "--seconds $seconds; expected a whole number"
  edgeseg=${EDGESEG:-$default/venv/bin/edgeseg}
  [[ -x $edgeseg ]] || edgeseg=$(command -v edgeseg) || fail "edgeseg is not installed; install.sh does it"
  python=$(dirname "$edgeseg")/python
  if [[ ${#models[@]} -eq 0 ]]; then
    mapfile -t models < <(find "$default/model" -maxdepth 1 -name '*.onnx' -type f 2>/dev/null | sort)
  fi
  [[ ${#models[@]} -gt 0 ]] || wrong_usage "no model in $default/model; give ONNX files"
  board=$(tr -d '\0' 2>/dev/null </proc/device-tree/model | tr -cs '[:alnum:]' - || true)
  out=${out:-benchmark-${board:-$(uname -m)}-$(date +%Y%m%d-%H%M).json}
  trtexec=$(PATH=$PATH:/usr/src/tensorrt/bin command -v trtexec || true)
  has_tensorrt=no
  if "$python" -c "$not_here; import tensorrt, pycuda.driver" 2>/dev/null; then has_tensorrt=yes; fi
  out_can_be_written
  no_camera_runs
  work=$(mktemp -d)
  trap put_back EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  mkdir "$work"/{notes,engines,trtexec}

  note system uname -a
  note jetson_linux cat /etc/nv_tegra_release
  note doctor "$edgeseg" doctor --json
  if [[ -n $mode ]]; then set_power_mode; fi
  if [[ $clocks == yes ]]; then lock_clocks; fi
  build_engines
  note_state before
  "$edgeseg" benchmark "${subjects[@]}" --source "$source" --seconds "$seconds" --json "$work/benchmark.json"
  note_state after
  run_trtexec
  write_result
}

main "$@"
