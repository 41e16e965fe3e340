# shellcheck shell=dash
# Making an image: what every generator's hook needs to put the boot into it. Sourced; POSIX sh, and bash.

# Where hooks/install has put us.
imgboot_share=${imgboot_share:-/usr/share/imgboot/hooks}

# Prints the names of a kind that contents/others has, one a line.
# $1: program or module
imgboot_list_contents() {
  local kind names
  while read -r kind names; do
    # shellcheck disable=SC2086
    [ "$kind" != "$1" ] || printf '%s\n' $names
  done < "$imgboot_share/contents/others"
}

# Prints the path of a program, or says what to install.
# $1: name
imgboot_find_program() {
  local package="$1"
  command -v "$1" && return 0
  case $1 in
    blkid) package=util-linux ;;
    btrfs) package=btrfs-progs ;;
  esac
  printf 'imgboot: there is no %s: install %s\n' "$1" "$package" >&2
  return 1
}

# Prints the path of a busybox that needs no library: it runs inside images, which have their own or none.
imgboot_find_busybox() {
  local name path
  for name in busybox busybox.static busybox-static; do
    path=$(command -v "$name") || continue
    case $(ldd "$path" 2>&1) in
      *'=>'* | */ld-*) ;;
      *)
        printf '%s\n' "$path"
        return 0
        ;;
    esac
  done
  printf 'imgboot: there is no statically linked busybox: install busybox-static (Arch, Fedora: busybox)\n' >&2
  return 1
}

# Puts the boot's scripts, busybox and its links into the directory that becomes the image. The programs of
# contents/others, with their libraries, are the generator's to put into /usr/lib/imgboot/bin.
# $1: the directory
imgboot_add_files() {
  local target="$1/usr/lib/imgboot" busybox applet name applets
  busybox=$(imgboot_find_busybox) || return 1
  mkdir -p "$target/bin" || return 1
  cp "$imgboot_share/lib/"*.sh "$imgboot_share/lib/json.awk" "$imgboot_share/others/asked.sh" "$imgboot_share/others/boot" "$target/" \
    || return 1
  chmod 644 "$target"/*.sh "$target/json.awk" "$target/boot"
  # What docker_path= boots, for who comes from mkinitcpio-docker-hooks.
  [ ! -f /etc/docker-btrfs.json ] || command install -D -m 644 /etc/docker-btrfs.json "$1/etc/docker-btrfs.json" || return 1
  # dracut's modules have a function of that name.
  command install -m 755 "$imgboot_share/lib/bless" "$imgboot_share/lib/clean" "$imgboot_share/lib/shutdown" "$target/" || return 1
  command install -m 755 "$busybox" "$target/bin/busybox" || return 1
  applets=" $("$busybox" --list | tr '\n' ' ') "
  while read -r applet; do
    name=${applet##*/}
    case $name in
      # The generator's kmod knows compressed modules.
      '' | '#'* | *mod | modprobe | modinfo) continue ;;
    esac
    case $applets in
      *" $name "*) ln -sf busybox "$target/bin/$name" ;;
    esac
  done < "$imgboot_share/contents/applets"
}

# Puts the units into an image whose init is systemd.
# $1: the directory that becomes the image  $2: the shell that it has
imgboot_add_units() {
  local generator="$1/usr/lib/systemd/system-generators/imgboot-generator"
  command install -D -m 644 "$imgboot_share/others/imgboot.service" "$1/usr/lib/systemd/system/imgboot.service" || return 1
  mkdir -p "${generator%/*}" || return 1
  { printf '#!%s\n' "$2" && cat "$imgboot_share/others/imgboot-generator"; } > "$generator" && chmod 755 "$generator"
}

# A program that the image has twice is there once, under two names.
# $1: the directory that becomes the image
imgboot_join_copies() {
  local name path directory
  for path in "$1"/usr/lib/imgboot/bin/*; do
    [ ! -L "$path" ] || continue
    name=${path##*/}
    for directory in usr/bin usr/sbin bin sbin; do
      if [ -f "$1/$directory/$name" ] && [ ! -L "$1/$directory/$name" ] && cmp -s "$path" "$1/$directory/$name"; then
        ln -f "$1/$directory/$name" "$path"
        break
      fi
    done
  done
}
