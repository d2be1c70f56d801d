import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ChecksumAlgorithm, checksumAlgorithms } from '../../backup/checksum.ts';
import { type Passed, Tap } from '../../backup/tap.ts';
import { type Verified, verifyPassed } from '../../backup/verify.ts';
import { type Cluster, majors, startCluster } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';

/** What pg_basebackup sent, as a file. */
function archiveOf(server: Cluster, algorithm: string): Buffer {
  const args = ['-h', server.socketDir, '-U', server.user, '-D', '-', '-Ft', '-X', 'none', '--checkpoint=fast'];
  return execFileSync(join(server.bin, 'pg_basebackup'), [...args, `--manifest-checksums=${algorithm}`], {
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

function verify(archive: Buffer, algorithm: ChecksumAlgorithm = 'CRC32C', chunkBytes = 64 * 1024): Verified {
  const passed: Passed = new Map();
  const tap = new Tap(passed, null, algorithm);
  for (let at = 0; at < archive.length; at += chunkBytes) tap.read(archive.subarray(at, at + chunkBytes));
  tap.finish();
  return verifyPassed(tap.kept.manifest as Buffer, passed, algorithm);
}

describe.each(majors)('what pg_basebackup of PostgreSQL %s sends', (major) => {
  let server: Cluster;
  let archive: Buffer;
  let manifest: Buffer;

  beforeAll(async () => {
    server = await startCluster({ major });
    // A name that is not UTF-8, and one that JSON must escape: the manifest encodes the first.
    writeFileSync(Buffer.concat([Buffer.from(join(server.dataDir, 'odd-')), Buffer.from([0xe9, 0xff])]), 'odd');
    writeFileSync(join(server.dataDir, 'quote"back\\slash — ünïcode'), 'quoted');
    archive = archiveOf(server, 'CRC32C');
    const begin = archive.indexOf('{ "PostgreSQL-Backup-Manifest-Version"');
    const end = archive.indexOf('"}\n', archive.indexOf('"Manifest-Checksum"')) + 3;
    manifest = archive.subarray(begin, end);
  });
  afterAll(() => server?.dispose());

  /** The same archive with this manifest in place of its own, made by tar itself. */
  function withManifest(text: string): Buffer {
    const folder = tempDir();
    execFileSync('tar', ['-x', '-C', folder], { input: archive });
    const body = text.slice(0, text.indexOf('"Manifest-Checksum"'));
    const checksum = createHash('sha256').update(body).digest('hex');
    writeFileSync(join(folder, 'backup_manifest'), `${body}"Manifest-Checksum": "${checksum}"}\n`);
    return execFileSync('tar', ['-C', folder, '-c', '.', '--transform=s,^\\./,,'], { maxBuffer: 1 << 28 });
  }

  test.each(checksumAlgorithms)('is verified by its %s checksums', (algorithm) => {
    const { manifest: read, files, bytes } = verify(archiveOf(server, algorithm), algorithm);
    expect(files).toBeGreaterThan(900);
    expect(bytes).toBeGreaterThan(10_000_000);
    expect(read.version).toBe(Number(major) >= 17 ? 2 : 1);
    expect(read.walRanges).toHaveLength(1);
  });

  test('says the same however its chunks are cut', () => {
    const whole = verify(archive, 'CRC32C', archive.length);
    expect(verify(archive, 'CRC32C', 1000)).toEqual(whole);
    expect(verify(archive, 'CRC32C', 70_001)).toEqual(whole);
  });

  test('is refused when a single bit of a file is flipped', () => {
    const damaged = Buffer.from(archive);
    const at = damaged.indexOf('quoted');
    damaged[at] = (damaged[at] as number) ^ 1;
    expect(() => verify(damaged)).toThrow('came with other content');
  });

  test('is refused when the manifest has checksums of another kind than were asked for', () => {
    expect(() => verify(archiveOf(server, 'SHA256'))).toThrow(
      'has a SHA256 checksum in the manifest instead of CRC32C',
    );
    expect(() => verify(archiveOf(server, 'NONE'))).toThrow('has a NONE checksum in the manifest instead of CRC32C');
  });

  test('is refused when a file of the manifest did not come, or one came that is not in it', () => {
    const text = manifest.toString('utf8');
    const line = text.split('\n').find((each) => each.includes('"global/pg_control"')) as string;
    expect(() => verify(withManifest(text.replace(`${line}\n`, '')))).toThrow(
      "'global/pg_control' is not in the manifest",
    );
    const more = text.replace(line, `${line.replace('global/pg_control', 'global/other')}\n${line}`);
    expect(() => verify(withManifest(more))).toThrow("'global/other' did not come");
    const longer = text.replace(line, line.replace(/"Size": \d+/, '"Size": 1'));
    expect(() => verify(withManifest(longer))).toThrow("'global/pg_control' came with 8192 bytes instead of 1");
  });

  test('is refused when a file comes twice', () => {
    const folder = tempDir();
    mkdirSync(join(folder, 'base'));
    writeFileSync(join(folder, 'base', 'x'), 'x');
    const tar = execFileSync('tar', ['-C', folder, '-c', 'base/x', 'base/x', '--hard-dereference']);
    expect(() => verify(tar)).toThrow("pg_basebackup sent 'base/x' twice");
  });

  test('is refused when its manifest was changed in any line', () => {
    const text = manifest.toString('utf8');
    for (const line of text
      .split('\n')
      .filter((each) => each !== '')
      .slice(0, 40)) {
      const changed = Buffer.from(
        text.replace(
          line,
          line.replace(/[0-9a-z]/, (c) => (c === 'x' ? 'y' : 'x')),
        ),
      );
      expect(() => verifyPassed(changed, new Map(), 'CRC32C'), line).toThrow('backup_manifest is not readable');
    }
    for (const end of [0, 1, 100, manifest.length - 10]) {
      expect(() => verifyPassed(manifest.subarray(0, end), new Map(), 'CRC32C')).toThrow('it is cut off');
    }
  });

  test('names at most ten wrong files, and counts the rest', () => {
    expect(() => verifyPassed(manifest, new Map(), 'CRC32C')).toThrow(/did not come, and \d{3,} more$/);
  });

  test('keeps the first bytes of pg_control, which begin with the system identifier', async () => {
    const tap = new Tap(new Map(), null, 'CRC32C');
    tap.read(archive);
    const [row] = await server.sql('SELECT system_identifier::text AS id FROM pg_control_system()');
    expect(tap.kept.control?.readBigUInt64LE(0).toString()).toBe(row?.id);
  });
});

test.each([
  ['a name that climbs out', ['--transform=s,^file$,base/../../file,', 'file']],
  ['an absolute name', ['--transform=s,^file$,/tmp/file,', 'file']],
  ['a link to somewhere', ['link']],
])('an archive with %s is not whole: no restore would take it', (_, args) => {
  const from = tempDir();
  writeFileSync(join(from, 'file'), 'x');
  symlinkSync('/tmp', join(from, 'link'));
  const archive = execFileSync('tar', ['-cP', '-C', from, '--format=ustar', ...args]);
  expect(() => verify(archive)).toThrow(expect.objectContaining({ code: 'backup-unverified' }));
});
