import { Transform } from 'node:stream';
import { createGzip } from 'node:zlib';
import { type Sealing, sealerFor } from '../../codec/sealing.ts';

/**
 * How the older scripts left their SQL: `gzip -9`, and `openssl enc` behind it where the key is of one of its ciphers. The other ciphers
 * have no program that those scripts' restore would know.
 */
export function gzipped(sealing: Sealing): { suffix: string; through: () => Transform[] } {
  const gzip = (): Transform => createGzip({ level: 9 });
  if (!sealing.cipher.endsWith('-cbc')) return { suffix: '.sql.gz', through: () => [gzip()] };
  return { suffix: '.sql.gz.enc', through: () => [gzip(), sealed(sealing)] };
}

function sealed(sealing: Sealing): Transform {
  const sealer = sealerFor(sealing, new Uint8Array());
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (const piece of sealer.update(chunk)) this.push(piece);
      done();
    },
    flush(done) {
      for (const piece of sealer.final()) this.push(piece);
      done();
    },
  });
}
