import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const node = join(import.meta.dirname, '../../node_modules/.bin/node');

test.each(['SIGINT', 'SIGTERM'] as const)('%s while a tool runs lets the verb end its work', async (signal) => {
  const child = execa(node, [join(import.meta.dirname, 'interrupt-verb.ts')], { reject: false, timeout: 60_000 });
  child.stdout.on('data', (chunk: Buffer) => {
    if (String(chunk).includes('ready')) child.kill(signal);
  });
  const { exitCode, stdout, stderr } = await child;
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 130, stdout: 'ready\ntidied up', stderr: 'interrupted' });
});

test('what a tool says because Ctrl-C reached it as well is not told as what went wrong', async () => {
  const child = execa(node, [join(import.meta.dirname, 'interrupt-verb.ts'), 'broken'], {
    reject: false,
    timeout: 60_000,
  });
  child.stdout.on('data', () => child.kill('SIGINT'));
  const { exitCode, stderr } = await child;
  expect(exitCode).toBe(130);
  expect(stderr).toBe(
    'interrupted\npgproof: interrupted [cancelled]\nOn its way out: the tool said nothing [tool-output]',
  );
});
