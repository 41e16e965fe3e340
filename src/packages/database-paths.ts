/** Where package managers keep what is installed, and why: from the root, a directory with a slash at its end. */
const databases = [
  'var/lib/dpkg/',
  'var/lib/apt/extended_states',
  'lib/apk/db/',
  'usr/lib/apk/db/',
  'etc/apk/world',
  'var/lib/pacman/local/',
  'var/lib/rpm/',
  'usr/lib/sysimage/rpm/',
  'usr/share/rpm/',
  'var/lib/dnf/',
  'usr/lib/sysimage/libdnf5/',
];

/** Whether a path, from the root without its slash, belongs to a package manager's database. */
export function isPackageDatabase(path: string): boolean {
  return databases.some((place) => (place.endsWith('/') ? `${path}/`.startsWith(place) : path === place));
}
