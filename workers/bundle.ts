import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundleOption } from '@temporalio/worker';

const root = fileURLToPath(new URL('..', import.meta.url));

type Options = {
  /** A private folder that keeps it for the next start, under the hash of what it is made from. */
  cache?: string | undefined;
  /** Makes the text of failures payloads (payloads.ts). */
  failureConverterPath?: string | undefined;
};

/** The workflows as one program. A release ships it prebuilt; a checkout makes it (some seconds of CPU). */
export async function workflowBundle({ cache, failureConverterPath }: Options): Promise<WorkflowBundleOption> {
  const variant = failureConverterPath === undefined ? 'workflows' : 'workflows-sealed';
  const prebuilt = join(root, `${variant}.js`);
  if (existsSync(prebuilt)) return { codePath: prebuilt };
  if (cache === undefined) return bundle(failureConverterPath);
  const codePath = join(cache, `${variant}-${await sourceHash()}.js`);
  if (!existsSync(codePath)) await keep(codePath, (await bundle(failureConverterPath)).code);
  return { codePath };
}

const bundle = (failureConverterPath: string | undefined): Promise<{ code: string }> =>
  bundleWorkflowCode({
    workflowsPath: join(root, 'workflows/index.ts'),
    ...(failureConverterPath === undefined ? {} : { failureConverterPath }),
    logger: new DefaultLogger('WARN'),
  });

/** Of everything a bundle is made from: workflows import core and, as types only, activities; packages are locked. */
async function sourceHash(): Promise<string> {
  const folders = await Promise.all(['workflows', 'core'].map((folder) => filesOf(join(root, folder))));
  const hash = createHash('sha256');
  for (const file of [...folders.flat(), join(root, 'package-lock.json')]) {
    hash
      .update(`${file}\0`)
      .update(await readFile(file))
      .update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

const filesOf = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();

async function keep(path: string, code: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, code, { mode: 0o600 });
  await rename(temporary, path);
}
