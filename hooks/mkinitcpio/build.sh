# shellcheck shell=bash
# mkinitcpio: what the hooks imgboot and sd-imgboot have in common when an image is made. Sourced by their build().

# shellcheck source=hooks/others/image.sh
. /usr/share/imgboot/hooks/others/image.sh

# mkinitcpio's own variable.
# shellcheck disable=SC2154
imgboot_build() {
  local name path
  imgboot_add_files "$BUILDROOT" || return 1
  for name in $(imgboot_list_contents program); do
    path=$(imgboot_find_program "$name") || return 1
    add_binary "$path" "/usr/lib/imgboot/bin/$name" || return 1
  done
  for name in $(imgboot_list_contents module); do
    add_module "$name?"
  done
  imgboot_join_copies "$BUILDROOT"
}
