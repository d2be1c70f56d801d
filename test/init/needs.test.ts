import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { completeNeeds, objectiveFlag, sizeFlag } from '../../client/init/needs.ts';

/** A person at a terminal who types these lines, and then closes it. */
function person(...lines: string[]) {
  const [input, output] = [new PassThrough(), new PassThrough()];
  let said = '';
  output.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    if (!/\] $/.test(said)) return;
    said += '\n';
    const line = lines.shift();
    if (line === undefined) input.end();
    else input.write(`${line}\n`);
  });
  return { terminal: { input, output, signal: new AbortController().signal }, said: () => said };
}

test('size, RPO and RTO are asked for, and an empty answer takes what stands in brackets', async () => {
  const { terminal, said } = person('2TB', '', '4h');
  expect(await completeNeeds({}, 12.3e9, terminal)).toEqual({ bytes: 2e12, rpo: 300, rto: 14_400 });
  expect(said()).toContain('[now: 12.3 GB]');
  expect(await completeNeeds({}, 5e9, person('', '1d', '').terminal)).toEqual({ bytes: 5e9, rpo: 86_400, rto: null });
});

test('what flags said is not asked again', async () => {
  const { terminal, said } = person('1d');
  expect(await completeNeeds({ bytes: 1, rto: 60 }, 5e9, terminal)).toEqual({ bytes: 1, rpo: 86_400, rto: 60 });
  expect(said().match(/\?/g)).toHaveLength(1);
});

test('an answer that means nothing is quoted, and the question comes again', async () => {
  const { terminal, said } = person('much', '0s', '20GB', '0s', '5m', 'soon', '2h');
  expect(await completeNeeds({}, 5e9, terminal)).toEqual({ bytes: 20e9, rpo: 300, rto: 7200 });
  expect(said()).toContain("'much' is not a size such as");
  expect(said()).toContain("'soon' is not a duration such as");
});

test('a terminal that is closed ends it; nothing is taken for an answer', async () => {
  await expect(completeNeeds({}, 5e9, person('20GB').terminal)).rejects.toMatchObject({ code: 'cancelled' });
});

test('where nobody can be asked, the measured size and an RPO of five minutes count', async () => {
  expect(await completeNeeds({ rto: 60 }, 5e9, null)).toEqual({ bytes: 5e9, rpo: 300, rto: 60 });
});

test('flags take what the questions take, and refuse the rest with what is allowed', () => {
  expect([sizeFlag('2TB'), objectiveFlag('1d')]).toEqual([2e12, 86_400]);
  expect(() => sizeFlag('huge')).toThrow('a size such as');
  for (const wrong of ['0s', '2', 'soon']) expect(() => objectiveFlag(wrong)).toThrow('a duration of a second or more');
});
