import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GcmOpener, GcmSealer } from '../../codec/gcm.ts';
import { locateTinkPython } from '../../setup/tools.ts';
import { noise } from './support.ts';

const mib = 1 << 20;
const key = Buffer.alloc(32, 0x5a);
const associatedData = Buffer.from('shop/0001-pg15-1/wal/00000001/x');
/** Around the borders of the first segment (1 MiB less header and tag) and of the others. */
const sizes = [0, mib - 56, mib - 55, 2 * mib - 71];

function tink(verb: 'encrypt' | 'decrypt', input: Uint8Array): Buffer {
  const args = [join(import.meta.dirname, 'reference.py'), verb, key.toString('hex'), associatedData.toString('hex')];
  return execFileSync(locateTinkPython() as string, args, { input, maxBuffer: 8 * mib });
}

test("Google's Tink reads what we encrypt", () => {
  for (const size of sizes) {
    const sealer = new GcmSealer(key, associatedData);
    const stored = Buffer.concat([...sealer.update(noise(size)), ...sealer.final()]);
    expect(noise(size).equals(tink('decrypt', stored)), `${size} bytes`).toBe(true);
  }
});

test("we read what Google's Tink encrypts", () => {
  for (const size of sizes) {
    const opener = new GcmOpener(key, associatedData);
    const plain = [...opener.update(tink('encrypt', noise(size))), ...opener.final()];
    expect(noise(size).equals(Buffer.concat(plain)), `${size} bytes`).toBe(true);
  }
});
