import type { ConnectionConfig } from '../core/config.ts';
import type { DumpFormat } from '../core/dump.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import type { Clients } from '../postgres/clients.ts';
import { runTool } from '../postgres/run.ts';
import type { Compression } from './argv.ts';

/**
 * How pg_dump will compress, and what a person should know of it.
 * @param wanted as configured: auto, none, gzip:N, zstd:N.
 * @throws {PgproofError} `dump-refused` for zstd that this pg_dump does not have.
 */
export async function decideCompression(
  clients: Clients,
  format: DumpFormat,
  wanted: string,
  signal: AbortSignal,
): Promise<{ compression: Compression; notes: string[] }> {
  if (format === 'plain' || format === 'tar') {
    const isSaid = wanted !== 'auto' && wanted !== 'none';
    const notes = isSaid
      ? [`${wanted} is for custom and directory: pg_dump does not compress the format ${format}`]
      : [];
    return { compression: 'none', notes };
  }
  if (wanted === 'none' || wanted === 'gzip:0') return { compression: 'none', notes: [] };
  if (wanted.startsWith('gzip:')) return { compression: wanted, notes: [] };
  const has = await hasZstd(clients, signal);
  if (wanted === 'auto') return { compression: has ? 'zstd:3' : 'gzip:6', notes: [] };
  if (has) return { compression: wanted, notes: [] };
  throw new PgproofError(
    'dump-refused',
    `compression ${wanted} was asked for, and pg_dump ${clients.version} has no zstd`,
    {
      facts: { compression: wanted, tool: 'pg_dump', toolMajor: clients.major },
      hint: 'pg_dump has zstd from PostgreSQL 16 on, where it was built with it. Leave compression at auto: what is stored is compressed with zstd anyway.',
    },
  );
}

const nowhere: Pick<ConnectionConfig, 'port'> = { port: 5432 };

/**
 * Whether pg_dump was built with zstd. It looks at that before it connects; so where there is no server, it fails in the same way as
 * without zstd if it has it, and in another if not.
 */
async function hasZstd(clients: Clients, signal: AbortSignal): Promise<boolean> {
  if (clients.major < 16) return false;
  const said = async (compression: string): Promise<string> => {
    const args = [
      '-h',
      '/nonexistent',
      '-p',
      String(nowhere.port),
      '-w',
      '-Fc',
      `--compress=${compression}`,
      'postgres',
    ];
    try {
      await runTool(clients, 'pg_dump', args, { signal, timeoutSeconds: 60 });
      throw new PgproofError('tool-output', 'pg_dump connected to a server that is not there');
    } catch (error) {
      if (!hasCode(error, 'tool-failed')) throw error;
      return String(error.facts.stderr);
    }
  };
  return (await said('none')) === (await said('zstd:3'));
}
