import { access, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { settingLines } from '../postgres/control.ts';
import type { Tools } from '../postgres/tools.ts';
import { syncFolder } from '../storage/durable-file.ts';
import type { RestorePlan } from './record.ts';

/** postgresql.auto.conf as the finished folder will have it, set aside while recovery runs with our own. */
const keptName = 'postgresql.auto.conf.pgproof';

/** Settings of the primary's own recovery, or that would archive: a restored server must not act on them. */
const dropped =
  /^\s*(archive_command|archive_library|restore_command|archive_cleanup_command|recovery_end_command|recovery_target\w*|recovery_min_apply_delay|primary_conninfo|primary_slot_name|promote_trigger_file)\s*[=\s]/i;

/** Where the primary had set archive_command by ALTER SYSTEM, the line that says what it was. */
const wasMark = '# Before the restore, archive_command was ';

/** Idempotent: what was kept once is not replaced by what stands there during recovery. */
export async function keepAutoConf(dataDir: string): Promise<void> {
  if (await exists(join(dataDir, keptName))) return;
  const original = await readOrEmpty(join(dataDir, 'postgresql.auto.conf'));
  const lines = original.split('\n').filter((line) => !dropped.test(line));
  const command = /^\s*archive_command\s*=?\s*(.*)$/im.exec(original)?.[1];
  const was = command === undefined ? '' : `${wasMark}${command}\n`;
  const text = `${lines.join('\n').trimEnd()}\n${was}${settingLines(await archivesNothing(dataDir))}`;
  await writeFile(join(dataDir, keptName), text, { mode: 0o600, flush: true });
}

/** A library set in postgresql.conf would archive whatever the command is: 15 prefers it, later majors refuse the two together. */
async function archivesNothing(dataDir: string): Promise<Record<string, string>> {
  const major = Number.parseInt(await readFile(join(dataDir, 'PG_VERSION'), 'utf8'), 10);
  return { archive_command: '/bin/false', ...(major >= 15 ? { archive_library: '' } : {}) };
}

const noConfiguration =
  '# The primary kept its configuration elsewhere; a backup does not hold it. Defaults are in force.\n';

/** The last change to a restored folder: it gets its own configuration back, with an archive_command that fails. */
export async function handOver(dataDir: string): Promise<void> {
  if (await exists(join(dataDir, keptName)))
    await rename(join(dataDir, keptName), join(dataDir, 'postgresql.auto.conf'));
  await writeIfMissing(join(dataDir, 'postgresql.conf'), noConfiguration);
  await writeIfMissing(
    join(dataDir, 'pg_hba.conf'),
    '# The primary kept its rules elsewhere; a backup does not hold them.\nlocal all all peer\n',
  );
  await writeIfMissing(join(dataDir, 'pg_ident.conf'), '');
  // Before the result says that it is done: the primary's own archive_command would be in force without it.
  await syncFolder(dataDir);
}

/** The command that a person starts the restored server with. */
export function startCommand(tools: Tools, dataDir: string): string {
  const quoted = (path: string) => (/^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`);
  return `${quoted(join(tools.bin, 'pg_ctl'))} -D ${quoted(dataDir)} start`;
}

/** Until a person runs this in it, the restored server archives nothing: the archive belongs to the primary. */
export async function openingStatement(dataDir: string): Promise<string> {
  const text = await readOrEmpty(join(dataDir, 'postgresql.auto.conf'));
  const was = text.split('\n').find((line) => line.startsWith(wasMark));
  const change =
    was === undefined ? 'RESET archive_command' : `SET archive_command = ${sqlLiteral(was.slice(wasMark.length))}`;
  const library = /^archive_library = ''$/m.test(text) ? 'ALTER SYSTEM RESET archive_library; ' : '';
  return `${library}ALTER SYSTEM ${change}; SELECT pg_reload_conf();`;
}

/** From a quoted value of a configuration file, in which backslashes are doubled too. */
function sqlLiteral(quoted: string): string {
  const inner = /^'(.*)'/.exec(quoted.trim())?.[1] ?? quoted.trim();
  return `'${inner.replaceAll('\\\\', '\\')}'`;
}

/** What a person should know of the configuration that came with the backup. */
export async function configurationNotes({ into }: RestorePlan): Promise<string[]> {
  const text = await readOrEmpty(join(into, 'postgresql.conf'));
  if (text === noConfiguration)
    return [
      `The backup holds no postgresql.conf: the primary's lies outside of its data directory. Copy it, or start the server with the defaults.`,
    ];
  const elsewhere = /^\s*(data_directory|hba_file|ident_file|external_pid_file)\s*[= ]\s*(\S+)/im.exec(text);
  return elsewhere === null
    ? []
    : [`'${into}/postgresql.conf' sets ${elsewhere[1]} to ${elsewhere[2]}: correct it before you start the server.`];
}

async function writeIfMissing(path: string, text: string): Promise<void> {
  if (!(await exists(path))) await writeFile(path, text, { mode: 0o600, flush: true });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
