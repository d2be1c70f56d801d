import { PgproofError } from '../../core/errors.ts';
import type { Credentials } from './credential-source.ts';

/** @throws {PgproofError} `credentials-missing`, with the names of the variables that are not set. */
export function credentialsOfEnvironment(env: NodeJS.ProcessEnv): Credentials {
  const { OSS_ACCESS_KEY_ID: accessKeyId, OSS_ACCESS_KEY_SECRET: accessKeySecret, OSS_SESSION_TOKEN } = env;
  if (accessKeyId && accessKeySecret)
    return { accessKeyId, accessKeySecret, ...(OSS_SESSION_TOKEN ? { securityToken: OSS_SESSION_TOKEN } : {}) };
  const missing = [
    ...(accessKeyId ? [] : ['OSS_ACCESS_KEY_ID']),
    ...(accessKeySecret ? [] : ['OSS_ACCESS_KEY_SECRET']),
  ];
  throw new PgproofError('credentials-missing', `no credentials for OSS: ${missing.join(' and ')} not set`, {
    facts: { missing },
    hint: 'Set them for this process, or name a source under the repository’s `credentials` (file, ecsRole, assumeRole).',
  });
}
