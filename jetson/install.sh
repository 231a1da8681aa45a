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
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
for part in basics bundle signature machine version links service actions; do
  [[ -f $here/installer/$part.sh ]] || {
    echo "install.sh: $here/installer/$part.sh: not there; unpack the bundle again" >&2
    exit 1
  }
done
# shellcheck source-path=SCRIPTDIR
{
  source "$here/installer/basics.sh"
  source "$here/installer/bundle.sh"
  source "$here/installer/signature.sh"
  source "$here/installer/machine.sh"
  source "$here/installer/version.sh"
  source "$here/installer/links.sh"
  source "$here/installer/service.sh"
  source "$here/installer/actions.sh"
}
not_here='import sys; sys.path = [each for each in sys.path if each]' # python -c looks in the current folder first

usage() {
  cat <<'END'
install.sh [BUNDLE]      install or update; BUNDLE is a file of `edgeseg bundle` or its folder  [default: this folder]
install.sh --from BUNDLE the same; a file is verified by BUNDLE.sig where keys are in /etc/edgeseg/keys
install.sh --trust KEY.pem      verify bundles from now on, by this public key too
install.sh --distrust KEY       no longer by this one; a name, or the public key's file
install.sh --check       what is installed: engine anew where JetPack has changed, doctor, self-test
install.sh --rollback    put the version before this one back
install.sh --uninstall   remove everything but what cameras have recorded
  --allow-older          take a bundle that was signed before the newest one that was installed here
  --dry-run              check bundle and machine, say what would be done, change nothing
  --keep-settings        with --uninstall: leave /etc/edgeseg
  --no-start             a first installation starts no camera; they start at the next boot
  --workspace-mb N       memory that the engine may use while it is built; for boards of 4 GB  [default: no limit]
  --watch N              seconds for which a camera must run before it counts as running  [default: 20]
  --prefix DIR           [default: /opt/edgeseg]
  --root DIR             a folder in which all paths are taken, as of a system that is being prepared
END
}

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
  if [[ -n $handed ]]; then
    held=$handed
    return
  fi
  [[ $EUID -eq 0 || -n $root ]] || fail "needs root: sudo $0"
  mkdir -p "$(dirname "$base")"
  exec {held}<"$(dirname "$base")"
  flock -n "$held" || fail "another install.sh is at work for $base; wait for it"
}

main() {
  local do=install
  bundle='' given='' handed='' unpacked='' prefix='' root='' dry=no keep=no older=no start=yes watch=20 workspace=()
  while [[ $# -gt 0 ]]; do
    case $1 in
      --check | --rollback | --uninstall) do=${1#--} ;;
      --dry-run) dry=yes ;;
      --keep-settings) keep=yes ;;
      --allow-older) older=yes ;;
      --from) ;; # what follows is the bundle
      --trust | --distrust)
        [[ -n ${2:-} ]] || wrong_usage "$1; expected a key"
        do=${1#--} given=$2
        if [[ -e $2 ]]; then given=$(realpath -- "$2"); fi
        shift
        ;;
      --handed-over) # by the installer that has verified this one: its lock, and the folder that it has unpacked into
        [[ ${2:-} =~ ^(-|[0-9]+)$ && -n ${3:-} && $here == "$3"/new/* ]] ||
          wrong_usage "$1 is between installers; expected install.sh --from BUNDLE"
        handed=$2 unpacked=$3
        shift 2
        ;;
      --no-start) start=no ;;
      --prefix | --root)
        [[ ${2:-} == /* && $2 != *[[:cntrl:]]* ]] || wrong_usage "$1 ${2:-}; expected a whole path"
        [[ $1 == --root || ! $2 =~ [^0-9A-Za-z/._+@-] ]] ||
          wrong_usage "$1 $2; expected a path of letters, digits and /._+@-, since it stands in settings and unit"
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
  base=$root$prefix etc=$root/etc/edgeseg keys=$root/etc/edgeseg/keys unit=$root/etc/systemd/system/edgeseg-camera@.service
  python=${PYTHON:-/usr/bin/python3} cuda_path=$PATH:/usr/local/cuda/bin
  doing='' version='' unfinished='' broken='' signed_id='' held=- cameras=() wanted=() down=()
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
