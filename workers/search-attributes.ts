import type { Connection } from '@temporalio/client';
import { PgproofError } from '../core/errors.ts';

/** What runs can be searched by. All Keyword: SQL visibility has few Text attributes. Never a secret: they stand in the clear. */
export const searchAttributes = ['PgCluster', 'PgHost', 'PgOperation', 'PgVerdict', 'PgBackupId'] as const;

type Services = Pick<Connection, 'operatorService' | 'workflowService'>;

/** `INDEXED_VALUE_TYPE_KEYWORD` of Temporal's API. */
const keyword = 2;

/**
 * Makes sure that the namespace knows our search attributes, registering them where it may: a missing one would fail
 * the first workflow task of every run, for ever.
 * @throws {PgproofError} `search-attribute-missing`, with the command that registers them. A server that is away is no such error.
 */
export async function ensureSearchAttributes(connection: Services, namespace: string): Promise<void> {
  const missing = await missingAttributes(connection, namespace);
  if (missing.length === 0) return;
  const wanted = Object.fromEntries(missing.map((name) => [name, keyword]));
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: wanted });
  } catch (error) {
    if (isAway(error)) throw error;
    throw notRegistered(missing, namespace, error);
  }
  const still = await missingAttributes(connection, namespace);
  if (still.length > 0) throw notRegistered(still, namespace);
}

async function missingAttributes(connection: Services, namespace: string): Promise<string[]> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return searchAttributes.filter((name) => customAttributes[name] !== keyword);
  } catch (error) {
    if (isAway(error)) throw error;
    return askedByQuery(connection, namespace);
  }
}

/** Temporal Cloud, and a server with rights, list attributes only to administrators; a query for one it does not know is refused to everybody. */
async function askedByQuery({ workflowService }: Services, namespace: string): Promise<string[]> {
  const isMissing = async (name: string): Promise<boolean> => {
    try {
      await workflowService.countWorkflowExecutions({ namespace, query: `${name} = 'x'` });
      return false;
    } catch (error) {
      if (codeOf(error) === invalidArgument) return true;
      throw error;
    }
  };
  const answers = await Promise.all(searchAttributes.map(isMissing));
  return searchAttributes.filter((_name, index) => answers[index]);
}

/* Source: gRPC, Status codes. */
const invalidArgument = 3;
const deadlineExceeded = 4;
const unavailable = 14;

const codeOf = (error: unknown): number | undefined => {
  const { code, cause } = error as { code?: number; cause?: { code?: number } };
  return code ?? cause?.code;
};
const isAway = (error: unknown): boolean => [deadlineExceeded, unavailable].includes(codeOf(error) ?? -1);

function notRegistered(missing: readonly string[], namespace: string, cause?: unknown): PgproofError {
  const names = missing.map((name) => `--name ${name} --type Keyword`).join(' ');
  const onCloud = missing.map((name) => `--sa '${name}=Keyword'`).join(' ');
  return new PgproofError(
    'search-attribute-missing',
    `the Temporal namespace '${namespace}' lacks the search attributes ${missing.join(', ')}`,
    {
      facts: { namespace, missing },
      hint: `Register them once, as somebody who may: temporal operator search-attribute create --namespace ${namespace} ${names}\nOn Temporal Cloud: tcld namespace search-attributes add --namespace ${namespace} ${onCloud}`,
      cause,
    },
  );
}
