import { globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { openFileStore } from '../../storage/file/store.ts';

/** Writes a first piece of an object and waits for ever; says when the piece is written, wherever. Killed by its test. */
const root = process.argv[2] as string;
const body = new Readable({ read() {} });
body.push(Buffer.alloc(100_000));
setInterval(() => {
  const paths = globSync(['*', '.incoming/*'], { cwd: root });
  if (paths.some((path) => statSync(join(root, path)).size === 100_000)) console.log('writing');
}, 20);
await openFileStore(root).create('never-finished', body);
