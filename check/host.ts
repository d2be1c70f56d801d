import { stat, statfs } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { isDumped } from '../core/dumped.ts';
import { hasCode } from '../core/errors.ts';
import { queryOne, type SqlClient, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { ServerFacts } from '../postgres/server.ts';
import { databaseBytes } from '../postgres/size.ts';
import { findTools } from '../postgres/tools.ts';
import { toolVersion } from '../postgres/version.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import { admissionFix } from './hba.ts';

/** PostgreSQL runs archive_command as its own user, and restored files belong to ours: both must be one. */
export async function checkOsUser({ dataDirectory }: ServerFacts): Promise<Finding> {
  const name = 'os-user';
  if (dataDirectory === null)
    return warning(name, 'the role may not see data_directory, so its owner is not known', null);
  const { username, uid } = userInfo();
  const owner = await stat(dataDirectory).catch((error: NodeJS.ErrnoException) => error.code ?? 'unknown');
  if (typeof owner === 'string') {
    return problem(
      name,
      `'${dataDirectory}' cannot be seen from here (${owner})`,
      'Run pgproof on the host of the server, as the user that owns the data directory.',
    );
  }
  if (owner.uid === uid) return ok(name, `${username} owns the data directory`);
  return problem(
    name,
    `${username} (uid ${uid}) runs pgproof, and uid ${owner.uid} owns '${dataDirectory}'`,
    'Run pgproof as the user that owns the data directory.',
  );
}

/** A real walsender session, because pg_hba.conf admits `replication` apart from everything else. */
export async function checkReplication({ config }: ProtectedCluster, signal: AbortSignal): Promise<Finding> {
  const { connection } = config;
  const identify = (client: SqlClient) => queryOne(client, 'IDENTIFY_SYSTEM', [], z.object({ systemid: z.string() }));
  try {
    await withClient(connection, identify, { signal, replication: true, applicationName: 'pgproof check' });
    return ok('replication', `role '${connection.user}' gets a replication connection`);
  } catch (error) {
    if (hasCode(error, 'server-refused'))
      return problem('replication', error.message, admissionFix(connection, isDumped(config)));
    throw error;
  }
}

export async function checkTools({ config }: ProtectedCluster, { major, versionText }: ServerFacts): Promise<Finding> {
  const tools = await findTools(config.tools.bin, major);
  const { text } = await toolVersion(join(tools.bin, 'pg_basebackup'));
  const same = text.split(' ')[0] === versionText.split(' ')[0];
  return ok('tools', `${tools.bin}: ${text}${same ? '' : `, beside a server of ${versionText}`}`);
}

/** How many segments must fit at least: less is a matter of minutes. */
const leastSegments = 16;

/** Room for a whole backup in the repository, and for a while of WAL in the spool. */
export async function checkSpace(client: SqlClient, cluster: ProtectedCluster, facts: ServerFacts): Promise<Finding[]> {
  const bytes = await databaseBytes(client);
  const least = leastSegments * facts.segmentBytes;
  const { written, paths } = cluster;
  const findings: Finding[] = [];
  for (const { name, config } of written) {
    if (config.type !== 'file') continue; // a bucket has no end
    const finding = written.length === 1 ? 'space-repository' : `${name}/space`;
    findings.push(await freeSpace(finding, config.path, least, bytes));
  }
  return [...findings, await freeSpace('space-spool', paths.spool, least, least)];
}

async function freeSpace(name: string, path: string, least: number, wished: number): Promise<Finding> {
  const { bavail, bsize } = await statfs(path);
  const free = bavail * bsize;
  const detail = `${mebibytes(free)} free in '${path}'`;
  if (free < least)
    return problem(
      name,
      `${detail}, less than ${leastSegments} segments of WAL`,
      'Make room, or move it to a larger file system.',
    );
  if (free < wished)
    return warning(
      name,
      `${detail}; the databases have ${mebibytes(wished)} before compression`,
      'Make room before the next backup.',
    );
  return ok(name, detail);
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / (1024 * 1024))} MiB`;
}
