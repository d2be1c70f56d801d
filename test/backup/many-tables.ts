import { createHash } from 'node:crypto';
import { type ManifestFile, pathKey } from '../../backup/manifest.ts';
import { verifyPassed } from '../../backup/verify.ts';

/* 50,000 tables with what belongs to them, held against their manifest, in a process of its own: it has no more memory than it is given. */

const tables = 50_000;
const forks = ['', '_fsm', '_vm', '_init'];
const passed = new Map<ManifestFile['path'], { bytes: number; checksum: string }>();
const lines: Buffer[] = [];
for (let table = 0; table < tables; table += 1) {
  for (const fork of forks) {
    const name = `base/16384/${16_385 + table}${fork}`;
    const checksum = (table * 4).toString(16).padStart(8, '0');
    passed.set(pathKey(Buffer.from(name)), { bytes: 8192, checksum });
    const isLast = table === tables - 1 && fork === '_init';
    lines.push(
      Buffer.from(
        `{ "Path": "${name}", "Size": 8192, "Last-Modified": "2026-11-20 14:05:01 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "${checksum}" }${isLast ? '' : ','}\n`,
      ),
    );
  }
}
const body = Buffer.concat([
  Buffer.from('{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n'),
  ...lines,
  Buffer.from('],\n"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000138" }\n],\n'),
]);
lines.length = 0;
const sum = createHash('sha256').update(body).digest('hex');
const { files } = verifyPassed(
  Buffer.concat([body, Buffer.from(`"Manifest-Checksum": "${sum}"}\n`)]),
  passed,
  'CRC32C',
);
process.stdout.write(`${files} ${passed.size}`);
