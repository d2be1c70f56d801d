import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { type Cipher, ciphers } from '../codec/sealing.ts';
import { type Figure, type Work, works } from './codec-work.ts';

/*
 * Megabytes of plain text a second, for each cipher: sealing and opening alone, then the whole way between plain and stored with
 * zstd and SHA-256; on one core (taskset), and on all of them by as many streams. Each figure is from a process of its own, which
 * also says how much memory it had at most.
 *   codec.ts [MEGABYTES]
 */

const [first, ...rest] = process.argv.slice(2);
if (first !== undefined && first in works) {
  const [cipher, streams, megabytes] = rest;
  console.log(JSON.stringify(await works[first as Work](cipher as Cipher, Number(streams), Number(megabytes))));
} else await compare(Number(first ?? 512));

async function compare(megabytes: number): Promise<void> {
  const cores = availableParallelism();
  const columns: { title: string; work: Work; streams: number; megabytes: number }[] = [
    { title: 'seal', work: 'seal', streams: 1, megabytes: 4 * megabytes },
    { title: 'open', work: 'open', streams: 1, megabytes: 4 * megabytes },
    { title: 'encode, 1 core', work: 'encode', streams: 1, megabytes },
    { title: 'decode, 1 core', work: 'decode', streams: 1, megabytes },
    { title: `encode, ${cores} cores`, work: 'encode', streams: cores, megabytes: cores * megabytes },
    { title: `decode, ${cores} cores`, work: 'decode', streams: cores, megabytes: cores * megabytes },
  ];
  console.log(
    `MB/s of plain text (most memory of the process)\n\ncipher | ${columns.map(({ title }) => title).join(' | ')}`,
  );
  for (const cipher of ['none', ...ciphers]) {
    const cells: string[] = [];
    for (const column of columns) cells.push(await inProcess(cipher, column));
    console.log([cipher, ...cells].join(' | '));
  }
}

type Column = { work: Work; streams: number; megabytes: number };

async function inProcess(cipher: string, { work, streams, megabytes }: Column): Promise<string> {
  const node = [process.execPath, import.meta.filename, work, cipher, String(streams), String(megabytes)];
  const [program, ...args] = streams === 1 ? ['taskset', '-c', '0', ...node] : node;
  const { stdout } = await promisify(execFile)(program as string, args);
  const { seconds, cpuSeconds, peakMegabytes } = JSON.parse(stdout) as Figure;
  return [megabytes / seconds, megabytes / cpuSeconds, peakMegabytes].map((figure) => figure.toFixed(0)).join(' / ');
}
