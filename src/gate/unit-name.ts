/** The unit that systemd makes of a path: `/var/lib/x-y` is `var-lib-x\x2dy.mount`. Pure. @see systemd-escape(1), --path */
export function unitOfPath(path: string, kind: 'mount' | 'swap'): string {
  const plain = path.split('/').filter(Boolean).join('/');
  if (plain === '') return `-.${kind}`;
  const name = [...Buffer.from(plain)]
    .map((byte, index) => {
      const letter = String.fromCharCode(byte);
      if (letter === '/') return '-';
      const isPlain = /[A-Za-z0-9:_.]/.test(letter) && !(index === 0 && letter === '.');
      return isPlain ? letter : `\\x${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
  return `${name}.${kind}`;
}
