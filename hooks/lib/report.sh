# shellcheck shell=dash disable=SC2034,SC2154
# The boot report, /run/imgboot/boot.json: what the boot says it did.

# How many reports are kept of a deployment, or of an image that is booted without one.
imgboot_boots_kept=20
# JSON strings with commas between; JSON objects with commas between; the step that runs and since when.
imgboot_fallbacks=
imgboot_steps=
imgboot_step_name=
imgboot_step_since=0

# Remembers, and says, that something was not done as asked.
# $1: what is otherwise, and why
imgboot_fallback() {
  host_warn "$1"
  imgboot_json_string "$1"
  imgboot_fallbacks=$imgboot_fallbacks${imgboot_fallbacks:+, }$imgboot_reply
}

# Ends the step that ran and begins the next.
# $1: its name; empty at the end
imgboot_step() {
  imgboot_now
  if [ -n "$imgboot_step_name" ]; then
    imgboot_steps="$imgboot_steps${imgboot_steps:+,}
    {\"name\": \"$imgboot_step_name\", \"startMs\": $imgboot_step_since, \"endMs\": $imgboot_reply}"
  fi
  imgboot_step_name=$1
  imgboot_step_since=$imgboot_reply
}

# Prints one member of an object, as a string, or null where there is no value.
# $1: its name  $2: its value
imgboot_report_string() {
  if [ -n "$2" ]; then
    imgboot_json_string "$2"
    printf '"%s": %s' "$1" "$imgboot_reply"
  else
    printf '"%s": null' "$1"
  fi
}

# Writes the report.
# $1: the init that gets the machine
imgboot_write_report() {
  {
    printf '{\n  "version": 1,\n  '
    # By the machine's clock, which may have to be set yet.
    imgboot_report_string time "$("$imgboot_bin/busybox" date -u +%Y-%m-%dT%H:%M:%SZ 2> /dev/null)"
    printf ',\n  '
    imgboot_report_string reference "$imgboot_reference"
    printf ',\n  '
    imgboot_report_string image "$imgboot_image_id"
    printf ',\n  '
    imgboot_report_string chain "$imgboot_chain"
    printf ',\n  '
    imgboot_report_string driver "$imgboot_driver"
    printf ',\n  '
    imgboot_report_string store "$imgboot_store_path"
    printf ',\n  "root": { '
    imgboot_report_string asked "$imgboot_root"
    printf ', '
    imgboot_report_string device "$imgboot_device"
    printf ', '
    imgboot_report_string fstype "$imgboot_fstype"
    printf ' },\n  '
    if [ -n "$imgboot_deployment" ]; then
      printf '"deployment": { '
      imgboot_report_string asked "$imgboot_deployment"
      printf ', '
      imgboot_report_string got "$imgboot_name"
      printf ', "try": %s },\n  ' "${imgboot_try_number:-null}"
    fi
    if [ -n "$imgboot_image$imgboot_deployment" ]; then
      printf '"writable": { '
      imgboot_report_string asked "$imgboot_writable"
      printf ', '
      imgboot_report_string got "$imgboot_writable_got"
      printf ', '
      case $imgboot_writable_got,${imgboot_docker_layer:-} in
        ephemeral,/*) imgboot_report_string layer "$imgboot_docker_layer" ;;
        *) imgboot_report_string layer "${imgboot_writable_dir:+deployments/$imgboot_name/$imgboot_writable_dir}" ;;
      esac
      case $imgboot_writable_got in
        ephemeral | previous)
          # What it is called when the next boot has set it aside.
          imgboot_next_number "$imgboot_place/ephemeral."
          printf ', "number": %s' "$imgboot_reply"
          ;;
      esac
      printf ', "keep": %s },\n  ' "$imgboot_keep"
    fi
    if [ -n "$imgboot_top" ]; then
      printf '"topLayer": { '
      imgboot_report_string device "$imgboot_top"
      printf ', '
      imgboot_report_string path "$imgboot_toppath"
      printf ', '
      imgboot_report_string digest "$imgboot_top_digest"
      printf ', "files": %s },\n  ' "$imgboot_top_files"
    else
      printf '"topLayer": null,\n  '
    fi
    printf '"fallbacks": [%s],\n  ' "$imgboot_fallbacks"
    imgboot_report_string init "$1"
    printf ',\n  "steps": [%s\n  ]\n}\n' "$imgboot_steps"
  } > "$imgboot_run/boot.json.new" && mv "$imgboot_run/boot.json.new" "$imgboot_run/boot.json"
}

# Keeps the report in the place of the last one, and beside those of earlier boots.
# $1: deployments/<name>
imgboot_keep_report() {
  imgboot_copy_report "$1/boot.json" && imgboot_remember_boot "${imgboot_name%%/*}"
}

# Makes a copy of the report: whole, or not at all.
# $1: the file
imgboot_copy_report() {
  cp "$imgboot_run/boot.json" "$1.new" 2> /dev/null && mv "$1.new" "$1"
}

# Keeps the report as boots/<name>/<number>.json of the store; no boot of the store has another's number. Where the
# booted system is to say that the boot was a good one, it is told what to make for it.
# $1: name
imgboot_remember_boot() {
  local boots="$imgboot_store_dir/boots" path number boot=1
  mkdir -p "$boots/$1" 2> /dev/null || return 1
  for path in "$boots"/*/*.json; do
    number=${path##*/}
    number=${number%.json}
    case $number in
      '' | *[!0-9]* | ?????????*) continue ;;
    esac
    [ "$number" -lt "$boot" ] || boot=$((number + 1))
  done
  # What a boot has left that was stopped here.
  for path in "$boots/$1"/*.json.new; do
    [ ! -e "$path" ] || rm -f "$path"
  done
  imgboot_copy_report "$boots/$1/$boot.json" || return 1
  [ ! -f /run/initramfs/bless.order ] || printf '%s\n' "boots/$1/$boot.good" >> /run/initramfs/bless.order
  imgboot_forget_boots "$boots/$1"
}

# Deletes the oldest reports past those that are kept.
# $1: boots/<name>
imgboot_forget_boots() {
  local path number least count
  while :; do
    least='' count=0
    for path in "$1"/*.json; do
      number=${path##*/}
      number=${number%.json}
      case $number in
        '' | *[!0-9]* | ?????????*) continue ;;
      esac
      count=$((count + 1))
      [ "$number" -ge "${least:-99999999}" ] || least=$number
    done
    [ "$count" -gt "$imgboot_boots_kept" ] || return 0
    rm "$1/$least.json" 2> /dev/null || return 0
    rm -f "$1/$least.good"
  done
}
