import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decodeBytes } from '../../codec/decode.ts';
import type { ClusterConfig } from '../../core/config.ts';
import { Copies } from '../../parts/copies.ts';
import { teeStore } from '../../parts/tee.ts';
import { PartWriter } from '../../parts/writer.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { associatedData } from '../../repository/layout.ts';
import { initRepository } from '../../repository/repository.ts';
import { readBytes } from '../../storage/bytes.ts';
import { tempDir } from '../support/temp.ts';

test.each([1, 2])(
  'what was written part by part is in each of %i repositories, byte for byte, under every cipher',
  async (count) => {
    const make = (name: string) => initRepository(name, { type: 'file', path: join(tempDir(), name) });
    const repositories = await Promise.all(Array.from({ length: count }, (_, at) => make(`r${at}`)));
    const config = { repositories: repositories.map(({ name }) => name), write: 'all' } as ClusterConfig;
    const plain = randomBytes(21_000_000);
    for (const sealing of [{ cipher: 'none' }, { cipher: 'aes-256-gcm', key: randomBytes(32) }] as const) {
      const writer = new PartWriter({
        store: teeStore(new Copies({ config } as ProtectedCluster, repositories)),
        keyOf: (part) => `shop/base/${sealing.cipher}.${part}`,
        sealing,
        signal: new AbortController().signal,
        maxStoredBytes: 12_000_000,
      });
      for (let at = 0; at < plain.length; at += 1_000_000) await writer.write(plain.subarray(at, at + 1_000_000));
      const parts = await writer.finish();
      expect(parts.length).toBeGreaterThan(1);
      for (const { store } of repositories) {
        const back = await Promise.all(
          parts.map(async ({ key, plainBytes }) =>
            decodeBytes(await readBytes(store, key, { maxBytes: 13_000_000 }), sealing, associatedData(key), {
              maxBytes: plainBytes,
            }),
          ),
        );
        expect(Buffer.concat(back).equals(plain)).toBe(true);
      }
    }
  },
);
