import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import * as z from 'zod';

const oldReport = z.object({
  database: z.string().min(1),
  host: z.string().optional(),
  startedAt: z.iso.datetime({ offset: true }),
  finishedAt: z.iso.datetime({ offset: true }).optional(),
  status: z.string(),
  errorMessage: z.string().nullish(),
  local: z
    .object({
      file: z.string().nullish(),
      checksumSha256: z.string().nullish(),
      sizeBytes: z.coerce.number().nullish(),
    })
    .nullish(),
});

/** What a script reported of a run. */
export type OldReport = {
  database: string;
  startedAt: number;
  finishedAt: number | null;
  /** It says SUCCESS. */
  succeeded: boolean;
  errorMessage: string | null;
  /** Name of the dump, without folders: these moved with it. Null where none was made. */
  file: string | null;
  sha256: string | null;
  storedBytes: number | null;
};

/** A report of a megabyte is none. */
const longestReport = 1 << 20;

/** Null for what is no report of a dump. */
export async function readOldReport(path: string, bytes: number): Promise<OldReport | null> {
  if (bytes > longestReport) return null;
  const parsed = oldReport.safeParse(parseJson(await readFile(path, 'utf8')));
  if (!parsed.success) return null;
  const { database, startedAt, finishedAt, status, errorMessage, local } = parsed.data;
  const sha256 = local?.checksumSha256?.toLowerCase() ?? '';
  return {
    database,
    startedAt: Date.parse(startedAt),
    finishedAt: finishedAt === undefined ? null : Date.parse(finishedAt),
    succeeded: status === 'SUCCESS',
    errorMessage: errorMessage || null,
    file: local?.file ? basename(local.file) : null,
    sha256: /^[0-9a-f]{64}$/.test(sha256) ? sha256 : null,
    storedBytes: local?.sizeBytes ?? null,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
