# shellcheck shell=dash
# Whether this boot is ours: the kernel command line has a parameter of ours. With none, the generator boots as ever.

# $1: the kernel command line, where the generator knows of more than the kernel
imgboot_is_asked() {
  local line="${1-}"
  [ -n "$line" ] || read -r line < /proc/cmdline
  case " $line" in
    *[\ \"]imgboot.* | *[\ \"]toplayer=* | *[\ \"]docker_path=*) return 0 ;;
  esac
  return 1
}
