import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { S3Config } from '../core/config.ts';
import { openStore } from '../storage/open.ts';

/** The process that bench/store measures: store-transfer.ts create|read FILE CONFIG, for the object `object`; says the seconds. */
const [verb, file, config] = process.argv.slice(2) as [string, string, string];
const store = await openStore(JSON.parse(config) as S3Config);
const began = performance.now();
if (verb === 'create') await store.create('object', createReadStream(file, { highWaterMark: 1 << 20 }));
else await pipeline(await store.read('object'), createWriteStream(file, { highWaterMark: 1 << 20 }));
console.log((performance.now() - began) / 1000);
