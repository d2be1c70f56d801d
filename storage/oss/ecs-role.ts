import * as z from 'zod';
import { asPgproofError, PgproofError } from '../../core/errors.ts';
import type { Credentials } from './credential-source.ts';

const schema = z.object({
  Code: z.literal('Success'),
  AccessKeyId: z.string().min(1),
  AccessKeySecret: z.string().min(1),
  SecurityToken: z.string().min(1),
  Expiration: z.iso.datetime({ offset: true }),
});

const tokenSeconds = 60;

/**
 * Credentials of the RAM role that is attached to this ECS instance, from its metadata service in the hardened mode: a token
 * first, and with it the role.
 * @throws {PgproofError} `credentials-missing` when the instance has no such role.
 */
export async function credentialsOfEcsRole(address: string, role: string, signal: AbortSignal): Promise<Credentials> {
  const token = await asked(`${address}/latest/api/token`, role, {
    method: 'PUT',
    headers: { 'X-aliyun-ecs-metadata-token-ttl-seconds': String(tokenSeconds) },
    signal,
  });
  const path = `/latest/meta-data/ram/security-credentials/${encodeURIComponent(role)}`;
  const text = await asked(address + path, role, { headers: { 'X-aliyun-ecs-metadata-token': token }, signal });
  const answer = schema.safeParse(json(text));
  // What it says instead may be half a secret.
  if (!answer.success) throw unavailable(role, 'its answer is not what ECS documents');
  const { AccessKeyId, AccessKeySecret, SecurityToken, Expiration } = answer.data;
  return {
    accessKeyId: AccessKeyId,
    accessKeySecret: AccessKeySecret,
    securityToken: SecurityToken,
    expiresAt: new Date(Expiration),
  };
}

async function asked(url: string, role: string, init: RequestInit): Promise<string> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, init);
    text = await response.text();
  } catch (cause) {
    throw unavailable(role, asPgproofError(cause).message, cause);
  }
  if (response.ok) return text;
  if (response.status !== 404) throw unavailable(role, `it answers ${response.status}`);
  throw new PgproofError('credentials-missing', `this ECS instance has no RAM role '${role}'`, {
    facts: { role, status: response.status },
    hint: 'Attach the role to the instance, or correct `credentials.ecsRole`.',
  });
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unavailable(role: string, why: string, cause?: unknown): PgproofError {
  const text = `the metadata service gives no credentials of the role '${role}': ${why}`;
  return new PgproofError('store-unreachable', text, {
    facts: { role },
    hint: 'Only an ECS instance has this service, at 100.100.100.200.',
    cause,
  });
}
