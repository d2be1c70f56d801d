import type { OssConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import { CredentialsFile } from '../credentials-file.ts';
import type { CredentialSource, Credentials } from './credential-source.ts';
import { credentialsOfEcsRole } from './ecs-role.ts';
import { stsAddress } from './endpoint.ts';
import { credentialsOfEnvironment } from './environment.ts';
import { Refreshing } from './refreshing.ts';
import { credentialsOfSts } from './sts.ts';
import type { Connections } from './transport.ts';

/** Addresses of the services that give out credentials; given by tests. */
export type CredentialServices = { metadata: string; sts: string };

const metadataAddress = 'http://100.100.100.200';

/** @throws {PgproofError} `credentials-missing` for what is known without asking anybody. */
export function openCredentials(
  config: Pick<OssConfig, 'credentials' | 'region' | 'endpoint'>,
  env: NodeJS.ProcessEnv,
  connections: Connections,
  services: CredentialServices = { metadata: metadataAddress, sts: stsAddress(config) },
): CredentialSource {
  const { credentials } = config;
  if (credentials === undefined) return new Fixed(credentialsOfEnvironment(env));
  if ('file' in credentials) return fromFile(new CredentialsFile(credentials.file));
  if ('ecsRole' in credentials) {
    const { ecsRole } = credentials;
    return new Refreshing((signal) => credentialsOfEcsRole(services.metadata, ecsRole, signal));
  }
  const { assumeRole } = credentials;
  const own = credentialsOfEnvironment(env);
  if (own.securityToken !== undefined)
    throw new PgproofError('credentials-missing', 'temporary credentials cannot assume a role', {
      hint: 'Unset OSS_SESSION_TOKEN, and set the access key of a RAM user.',
    });
  return new Refreshing((signal) => credentialsOfSts(services.sts, assumeRole, own, connections, signal));
}

function fromFile(file: CredentialsFile): CredentialSource {
  return { current: () => file.read(), refused: (credentials) => file.forget(credentials) };
}

class Fixed implements CredentialSource {
  readonly #credentials: Credentials;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  async current(): Promise<Credentials> {
    return this.#credentials;
  }

  refused(): void {}
}
