import { expect, it } from 'vitest';
import { instructionOf } from './instruction.ts';

it.each([
  ['RUN apt-get install -y vim', 'RUN apt-get install -y vim'],
  ['/bin/sh -c apt-get install -y vim', 'RUN apt-get install -y vim'],
  ['RUN /bin/sh -c apt-get install -y vim # buildkit', 'RUN apt-get install -y vim'],
  ['|2 A=1 B=two /bin/sh -c make', 'RUN make'],
  ['RUN |1 A=1 /bin/sh -c make # buildkit', 'RUN make'],
  ['/bin/bash -c make', 'RUN make'],
  ['/bin/sh -c #(nop) COPY file:0a1b in /etc/motd ', 'COPY file:0a1b in /etc/motd'],
  ['/bin/sh -c #(nop)  CMD ["bash"]', 'CMD ["bash"]'],
  ['COPY motd /etc/motd # buildkit', 'COPY motd /etc/motd'],
  ['RUN <<EOF\nmake\n\tinstall\nEOF', 'RUN <<EOF make install EOF'],
  ['imgboot bootstrap bookworm --kernel none', 'imgboot bootstrap bookworm --kernel none'],
  ['', ''],
])('%j is the instruction %j', (createdBy, instruction) => {
  expect(instructionOf(createdBy)).toBe(instruction);
});
