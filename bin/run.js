#!/usr/bin/env node
// Old syntax up to the version check: a Node too old to parse the rest must still get the one line below.
var required = [22, 18];
var running = process.versions.node.split('.').map(Number);
if (running[0] < required[0] || (running[0] === required[0] && running[1] < required[1])) {
  process.stderr.write(
    'imgboot: needs Node.js ' +
      required.join('.') +
      ' or later, and this is ' +
      process.versions.node +
      ' (' +
      process.execPath +
      '); install a newer Node.js, or use the self-contained package\n',
  );
  process.exit(1);
}
void import('./main.js');
