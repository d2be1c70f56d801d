import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { locateProgram } from '../../setup/locate.ts';
import { makeSpool } from '../../wal/spool.ts';
import { tempDir } from '../support/temp.ts';

const script = join(import.meta.dirname, '../../wal/archive-wal.sh');
const name = '000000010000000000000007';
const applets = ['cat', 'cmp', 'cp', 'ln', 'rm', 'sync', 'kill', 'mount', 'dd'];

/** The two shells it must run under, each with the tools that come with it. */
const shells = [
  { shell: 'dash', command: ['dash'], tools: '/usr/bin:/bin' },
  { shell: 'busybox', command: ['busybox', 'sh'], tools: 'busybox' },
];

describe.each(shells)('archive-wal under $shell', ({ command, tools }) => {
  /** A spool, a finished segment, and a PATH in which single tools can be replaced. */
  async function prepare() {
    const dir = tempDir();
    const spool = await makeSpool(join(dir, 'spool'));
    const wal = join(dir, name);
    writeFileSync(wal, randomBytes(100_000));
    const shims = join(dir, 'shims');
    mkdirSync(shims);
    const path = tools === 'busybox' ? busyboxTools(dir) : tools;
    return {
      dir,
      spool,
      wal,
      published: join(spool.incoming, name),
      archive: (file = wal, as = name) => run(command, [script, spool.root, file, as], `${shims}:${path}`),
      /** `$real` runs the tool itself. */
      replace: (tool: string, body: string) => {
        writeFileSync(join(shims, tool), `#!/bin/sh\nreal() { PATH='${path}' ${tool} "$@"; }\n${body}\n`);
        chmodSync(join(shims, tool), 0o755);
      },
      restore: (tool: string) => writeFileSync(join(shims, tool), `#!/bin/sh\nPATH='${path}' exec ${tool} "$@"\n`),
    };
  }

  test('publishes the same bytes and leaves nothing else', async () => {
    const { archive, wal, published, spool } = await prepare();
    expect(await archive()).toMatchObject({ code: 0 });
    expect(readFileSync(published).equals(readFileSync(wal))).toBe(true);
    expect(readdirSync(spool.incoming)).toEqual([name]);
  });

  test('says archived only after the file was flushed, then linked, then its folder flushed', async () => {
    const { archive, replace, spool, dir } = await prepare();
    const log = join(dir, 'log');
    replace('sync', `echo "sync $1: $(ls -A '${spool.incoming}' | tr '\\n' ' ')" >>'${log}'\nreal "$@"`);
    expect(await archive()).toMatchObject({ code: 0 });
    const steps = readFileSync(log, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
    expect(steps).toHaveLength(2);
    expect(steps[0]).toMatch(new RegExp(`^sync \\S+/\\.${name}\\.\\d+: \\.${name}\\.\\d+$`));
    expect(steps[1]).toBe(`sync ${spool.incoming}: ${name}`);
  });

  test.each([
    ['sync', 1],
    ['sync', 2],
    ['cp', 1],
    ['cmp', 1],
    ['ln', 1],
  ])('never says archived when %s fails the %ith time, and ends well the next time', async (tool, nth) => {
    const { archive, replace, restore, dir, wal, published, spool } = await prepare();
    replace(tool, `echo x >>'${dir}/count'\n[ "$(wc -l <'${dir}/count')" -eq ${nth} ] && exit 3\nreal "$@"`);
    expect(await archive()).toMatchObject({ code: 1 });
    restore(tool);
    expect(await archive()).toMatchObject({ code: 0 });
    expect(readFileSync(published).equals(readFileSync(wal))).toBe(true);
    expect(readdirSync(spool.incoming)).toEqual([name]);
  });

  test('answers a code that PostgreSQL repeats when a tool of it dies by a signal', async () => {
    const { archive, replace } = await prepare();
    replace('cp', 'kill -9 $$');
    expect(await archive()).toMatchObject({ code: 1, signal: null });
  });

  test.each(['cp', 'cmp', 'sync', 'ln', 'rm'])(
    'killed before or after %s, it ends well the next time',
    async (tool) => {
      for (const body of ['kill -9 $PPID; exit 1', 'real "$@"; kill -9 $PPID']) {
        const { archive, replace, restore, wal, published, spool } = await prepare();
        replace(tool, body);
        expect(await archive()).toMatchObject({ signal: 'SIGKILL' });
        restore(tool);
        expect(await archive()).toMatchObject({ code: 0 });
        expect(readFileSync(published).equals(readFileSync(wal))).toBe(true);
        expect(readdirSync(spool.incoming)).toEqual([name]);
      }
    },
  );

  test('flushes a file again that an attempt which was killed had published', async () => {
    const { archive, replace, dir, published, spool, wal } = await prepare();
    writeFileSync(published, readFileSync(wal));
    replace('sync', `echo "$1" >>'${dir}/log'\nreal "$@"`);
    expect(await archive()).toMatchObject({ code: 0 });
    expect(readFileSync(join(dir, 'log'), 'utf8').trim().split('\n').slice(-2)).toEqual([published, spool.incoming]);
  });

  test('scenario 20: refuses other bytes under a name that is there, and keeps what is there', async () => {
    const { archive, dir, published, wal, spool } = await prepare();
    await archive();
    writeFileSync(join(dir, 'other'), randomBytes(100_000));
    const { code, stderr } = await archive(join(dir, 'other'));
    expect(code).toBe(1);
    expect(stderr).toContain('the spool holds other bytes under this name');
    expect(readFileSync(published).equals(readFileSync(wal))).toBe(true);
    expect(readdirSync(spool.incoming)).toEqual([name]);
  });

  test('two attempts at the same file at the same time both succeed', async () => {
    const { archive, spool } = await prepare();
    const results = await Promise.all([archive(), archive(), archive(), archive()]);
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(readdirSync(spool.incoming)).toEqual([name]);
  });

  test.each([
    ['../escaped', 'not the name of a WAL file'],
    ['.hidden', 'not the name of a WAL file'],
    ['', 'not the name of a WAL file'],
  ])("takes no file by the name '%s'", async (as, why) => {
    const { archive, wal } = await prepare();
    expect(await archive(wal, as)).toMatchObject({ code: 1, stderr: expect.stringContaining(why) });
  });

  test('makes no spool where there is none: it may only not be mounted', async () => {
    const { dir, wal } = await prepare();
    const root = join(dir, 'absent');
    const result = await run(command, [script, root, wal, name], process.env.PATH ?? '');
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no folder') });
    expect(existsSync(root)).toBe(false);
  });

  test('scenario 9: a full spool is refused, leaves nothing half, and takes the file once there is room', async () => {
    const { dir, wal } = await prepare();
    // A file system of 256 KiB that is nearly full, in a mount namespace of its own; the file has 100 KB.
    const inside = `
      mount -t tmpfs -o size=256k none "$1/spool" && mkdir "$1/spool/incoming" || exit 99
      head -c 200000 /dev/zero >"$1/spool/ballast" || exit 98
      ${command.join(' ')} "$2" "$1/spool" "$3" ${name}; echo "full $?" $(ls -A "$1/spool/incoming")
      rm "$1/spool/ballast"
      ${command.join(' ')} "$2" "$1/spool" "$3" ${name}; echo "room $?" $(ls -A "$1/spool/incoming")
      cmp "$3" "$1/spool/incoming/${name}" && echo same`;
    const result = await run(['unshare', '-Urm', 'sh', '-c', inside, 'sh'], [dir, script, wal], process.env.PATH ?? '');
    expect(result.stdout.trim().split('\n')).toEqual(['full 1', `room 0 ${name}`, 'same']);
  });
});

/** Only busybox's own tools, as in an Alpine image. */
function busyboxTools(dir: string): string {
  const folder = join(dir, 'busybox');
  mkdirSync(folder);
  for (const applet of [...applets, 'ls', 'tr', 'wc', 'busybox', 'dash', 'sh']) {
    const real = locateProgram(['dash', 'ls', 'tr', 'wc', 'sh'].includes(applet) ? applet : 'busybox');
    if (real === undefined) throw new Error(`${applet} is not installed; run: npm test`);
    symlinkSync(real, join(folder, applet));
  }
  return folder;
}

type Result = { code: number | null; signal: string | null; stdout: string; stderr: string };

async function run([file, ...first]: string[], args: string[], path: string): Promise<Result> {
  const options = { env: { ...process.env, PATH: path }, timeout: 110_000 };
  try {
    const { stdout, stderr } = await promisify(execFile)(file as string, [...first, ...args], options);
    return { code: 0, signal: null, stdout, stderr };
  } catch (error) {
    const { code, signal, stdout, stderr } = error as Result;
    return { code: typeof code === 'number' ? code : null, signal, stdout, stderr };
  }
}
