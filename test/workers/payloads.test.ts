import { createDecipheriv } from 'node:crypto';
import { join } from 'node:path';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { generateKeyFile, readKeyFile } from '../../repository/key-file.ts';
import { rotateKeyFile } from '../../repository/key-rotate.ts';
import { openDataConverter, sealedPayloads } from '../../workers/payloads.ts';
import { tempDir } from '../support/temp.ts';

/** What Temporal holds of a payload, and who can read it. */

const payload = (value: unknown): Payload => defaultPayloadConverter.toPayload(value) as Payload;
const value = (opened: Payload | undefined): unknown => defaultPayloadConverter.fromPayload(opened as Payload);

async function keyFile(cipher?: 'chacha20-poly1305'): Promise<string> {
  const path = join(tempDir('key'), 'payloads.key');
  await generateKeyFile(path, cipher);
  return path;
}
const sealing = async (path: string) => sealedPayloads(await readKeyFile(path));

describe('a sealed payload', () => {
  test('shows nothing of its content, and opens with the key alone', async () => {
    const path = await keyFile();
    const [sealed] = await (await sealing(path)).encode([payload({ cluster: 'shop', reason: 'before the move' })]);
    const shown = Buffer.from(sealed!.data!).toString('latin1');
    expect(shown).not.toContain('shop');
    expect(Object.keys(sealed!.metadata!)).toEqual(['encoding', 'encryption-key-id']);
    const [opened] = await (await sealing(path)).decode([sealed!]);
    expect(value(opened)).toEqual({ cluster: 'shop', reason: 'before the move' });
  });

  test('is another one each time, so that equal inputs cannot be told', async () => {
    const codec = await sealing(await keyFile());
    const [a, b] = await codec.encode([payload('same'), payload('same')]);
    expect(Buffer.compare(a!.data!, b!.data!)).not.toBe(0);
  });

  test.each(['first byte', 'middle', 'last byte', 'cut off', 'empty'])(
    'that was changed (%s) is refused',
    async (how) => {
      const codec = await sealing(await keyFile());
      const [sealed] = await codec.encode([payload({ cluster: 'shop' })]);
      const data = Buffer.from(sealed!.data!);
      const at = how === 'first byte' ? 0 : how === 'middle' ? data.length >> 1 : data.length - 1;
      data[at]! ^= 1;
      const changed = how === 'empty' ? Buffer.alloc(0) : how === 'cut off' ? data.subarray(0, -1) : data;
      await expect(codec.decode([{ ...sealed!, data: changed }])).rejects.toMatchObject({ code: 'record-invalid' });
    },
  );

  test('is refused by name where no key is configured, or another one', async () => {
    const [sealed] = await (await sealing(await keyFile())).encode([payload({ cluster: 'shop' })]);
    const none = (await openDataConverter(undefined)).payloadCodecs![0]!;
    await expect(none.decode([sealed!])).rejects.toMatchObject({ code: 'key-missing' });
    await expect((await sealing(await keyFile())).decode([sealed!])).rejects.toMatchObject({ code: 'key-missing' });
  });

  test('opens after a rotation: what was sealed before it, and what others seal since, without a restart', async () => {
    const path = await keyFile();
    const before = await sealing(path);
    const [old] = await before.encode([payload('old')]);
    await rotateKeyFile(path);
    const after = await sealing(path);
    const [fresh] = await after.encode([payload('fresh')]);
    expect(value((await after.decode([old!]))[0])).toBe('old');
    expect(value((await before.decode([fresh!]))[0])).toBe('fresh');
  });
});

test('what is in the clear is read as it is, so that sealing can begin while old runs go on', async () => {
  const codec = await sealing(await keyFile());
  expect(value((await codec.decode([payload({ cluster: 'shop' })]))[0])).toEqual({ cluster: 'shop' });
});

test('the key that seals backups opens no payload: theirs is made from it', async () => {
  const keys = await readKeyFile(await keyFile());
  const [sealed] = await sealedPayloads(keys).encode([payload('x')]);
  const { sealing: backups, id } = keys.current!;
  const data = Buffer.from(sealed!.data!);
  const key = backups.cipher === 'aes-256-gcm' ? backups.key : Buffer.alloc(32);
  const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, 12)).setAAD(Buffer.from(id));
  decipher.setAuthTag(data.subarray(-16)).update(data.subarray(12, -16));
  expect(() => decipher.final()).toThrow();
});

test('a key whose cipher cannot seal payloads is refused before anything is sent', async () => {
  await expect(openDataConverter(await keyFile('chacha20-poly1305'))).rejects.toMatchObject({
    code: 'key-wrong',
    hint: expect.stringContaining('pgproof key generate'),
  });
});
