# shellcheck shell=dash disable=SC2034,SC2154
# The boot report, /run/imgboot/boot.json: what the boot says it did.

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

# Keeps a copy of the report: whole, or not at all.
# $1: the directory
imgboot_keep_report() {
  cp "$imgboot_run/boot.json" "$1/boot.json.new" 2> /dev/null && mv "$1/boot.json.new" "$1/boot.json"
}
