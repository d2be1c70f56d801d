import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type FetchFolder, makeFetchFolder } from '../../wal/fetch-folder.ts';
import { tempDir } from '../support/temp.ts';

const script = join(import.meta.dirname, '../../wal/restore-wal.sh');
const segment = '000000010000000000000007';
const shells = [['dash'], ['busybox', 'sh'], ['bash', '--posix']].filter(([program]) => isInstalled(program as string));

test('dash, busybox and bash are here to be tried', () => {
  expect(shells.map(([program]) => program)).toEqual(['dash', 'busybox', 'bash']);
});

describe.each(shells)('restore_command under %s', (...shell) => {
  test('answers 0 for a file that lies ready, and takes it away', async () => {
    const { folder, path, answer } = await stage();
    writeFileSync(join(folder.ready, segment), 'checked');
    expect(await answer(segment)).toMatchObject({ code: 0 });
    expect(readFileSync(path, 'utf8')).toBe('checked');
    expect(existsSync(join(folder.ready, segment))).toBe(false);
  });

  test('waits for a listed file, and asks for it', async () => {
    const { folder, path, begin } = await stage();
    const asked = begin(segment);
    while (!existsSync(join(folder.wanted, segment))) await new Promise((resolve) => setTimeout(resolve, 5));
    writeFileSync(join(folder.ready, segment), 'late');
    expect(await asked.ended).toMatchObject({ code: 0 });
    expect(readFileSync(path, 'utf8')).toBe('late');
    expect(existsSync(join(folder.wanted, segment))).toBe(false);
  });

  test('answers 1 for what the whole inventory does not list, and for nothing else', async () => {
    const { answer } = await stage();
    expect(await answer('000000010000000000000008')).toMatchObject({ code: 1 });
    expect(await answer('00000002.history')).toMatchObject({ code: 1 });
  });

  test.each<[string, (folder: FetchFolder, path: string) => void]>([
    ['the inventory is gone', ({ root }) => rmSync(join(root, 'inventory'))],
    ['the inventory was cut off', ({ root }) => writeFileSync(join(root, 'inventory'), '000000010000000000000001\n')],
    ['the inventory is empty', ({ root }) => writeFileSync(join(root, 'inventory'), '')],
    ['the inventory is a folder', ({ root }) => asFolder(join(root, 'inventory'))],
    ['the whole folder is gone', ({ root }) => rmSync(root, { recursive: true })],
  ])('answers 255 for a file it cannot know of, when %s', async (_, spoil) => {
    const { folder, path, answer } = await stage();
    spoil(folder, path);
    expect(await answer('000000010000000000000008')).toMatchObject({ code: 255 });
  });

  test.each<[string, (folder: FetchFolder, path: string) => void]>([
    ['the prefetcher could not get it', ({ failed }) => writeFileSync(join(failed, segment), 'object-damaged: …\n')],
    ['the prefetcher is dead', ({ root }) => writeFileSync(join(root, 'prefetcher'), '2147483646\n')],
    ['the prefetcher never was', ({ root }) => rmSync(join(root, 'prefetcher'))],
    ['the time is over', ({ root }) => writeFileSync(join(root, 'limit'), '0\n')],
    ['nobody says how long to wait', ({ root }) => writeFileSync(join(root, 'limit'), 'soon\n')],
    ['it cannot be asked for', ({ wanted }) => rmSync(wanted, { recursive: true })],
  ])('answers 255 for a listed file, when %s', async (_, spoil) => {
    const { folder, path, answer } = await stage();
    spoil(folder, path);
    const { code, said } = await answer(segment);
    expect(code).toBe(255);
    expect(said).toContain(`restore-wal: ${segment}: `);
    expect(existsSync(path)).toBe(false);
  });

  test('answers 255 when the file cannot be moved to its place', async () => {
    const { folder, answer } = await stage('no/such/folder');
    writeFileSync(join(folder.ready, segment), 'checked');
    expect(await answer(segment)).toMatchObject({ code: 255 });
  });

  test('answers 255 when it is called wrongly', async () => {
    const { folder, run } = await stage();
    expect(await run([]).ended).toMatchObject({ code: 255 });
    expect(await run([folder.root, '../inventory', 'x']).ended).toMatchObject({ code: 255 });
  });

  type Answer = { code: number | null; said: string };

  async function stage(place = 'RECOVERYXLOG') {
    const root = tempDir();
    const folder = await makeFetchFolder(join(root, "it's a folder"), [segment, '00000003.history'], 60);
    const path = join(root, place);
    const run = (args: string[]): { child: ChildProcess; ended: Promise<Answer> } => {
      const [program, ...first] = shell as [string, ...string[]];
      const child = spawn(program, [...first, script, ...args], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      return { child, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, said }))) };
    };
    const begin = (name: string) => run([folder.root, name, path]);
    return { folder, path, run, begin, answer: (name: string) => begin(name).ended };
  }
});

function asFolder(path: string): void {
  rmSync(path);
  mkdirSync(path);
}

function isInstalled(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}
