# Prints the strings of a JSON text, a line each: where it stands (the names of members and the numbers of elements,
# from 0), then what it is, with tabs between; as JSON writes them, escapes and all. A string never has a tab or line
# feed in it (RFC 8259, 7). Numbers, true, false and null are left out.
#   -v under=PATH   only what stands below PATH, its parts with tabs between
# Status 1: the text is cut off, or no JSON.
BEGIN {
  RS = "\""
  FS = "\n"
  depth = 0
  inside = 0
  wrong = 0
  seen = 0
}

inside {
  text = text $0
  # A quote behind an odd number of backslashes belongs to the string.
  if (match($0, /\\+$/) && RLENGTH % 2 == 1) {
    text = text "\""
    next
  }
  inside = 0
  take(text)
  next
}

{
  structure($0)
  inside = 1
  text = ""
}

END {
  # The last quote is behind us, and what followed it was read as the beginning of a string's other side.
  if (wrong || depth != 0 || !seen || !inside || text != "") exit 1
}

# What stands between strings.
function structure(part,   i, length_, c) {
  length_ = length(part)
  for (i = 1; i <= length_; i++) {
    c = substr(part, i, 1)
    if (c == "{" || c == "[") {
      depth++
      seen = 1
      kind[depth] = c
      names[depth] = c == "[" ? 0 : ""
      expects[depth] = "name"
    } else if (c == "}" || c == "]") {
      if (depth == 0 || (kind[depth] == "{") != (c == "}")) wrong = 1
      else depth--
    } else if (c == ",") {
      if (kind[depth] == "[") names[depth]++
      else expects[depth] = "name"
    } else if (c == ":") {
      expects[depth] = "value"
    }
  }
}

function take(value,   i, path) {
  if (depth == 0) {
    wrong = 1
    return
  }
  if (kind[depth] == "{" && expects[depth] == "name") {
    names[depth] = value
    return
  }
  path = names[1]
  for (i = 2; i <= depth; i++) path = path "\t" names[i]
  if (under == "" || index(path "\t", under "\t") == 1) print path "\t" value
}
