import { wordError } from './dockerfile-error.ts';

/**
 * What EXPOSE means, as an image config's ExposedPorts: `80` is `80/tcp`, `8000-8002/udp` is three. An address or host
 * port before a colon means nothing in an image, and is left out.
 * @throws IMGBOOT_DOCKERFILE (without a line)
 */
export function exposedPorts(words: readonly string[]): string[] {
  return words.flatMap((word) => {
    const match = /^(?:.*:)?([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/(tcp|udp|sctp)?)?$/is.exec(word);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || first > last || last > 65_535) {
      throw wordError(
        `not a port: ${JSON.stringify(word)}`,
        'write 80, 53/udp or 8000-8010; protocols are tcp, udp and sctp',
      );
    }
    const protocol = (match[3] ?? 'tcp').toLowerCase();
    return Array.from({ length: last - first + 1 }, (_, offset) => `${first + offset}/${protocol}`);
  });
}
