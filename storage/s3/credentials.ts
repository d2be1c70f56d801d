import type { S3Config } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import { CredentialsFile } from '../credentials-file.ts';

export type S3Credentials = {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
};

/** Where credentials come from; asked before each request, because they are rotated while uploads last. */
export type CredentialSource = {
  /** @throws {PgproofError} `credentials-missing`; `credentials-expired` when there were some, and no new ones are to be had. */
  current(): Promise<S3Credentials>;
  /** The store refused them: what is remembered is not to be believed. */
  forget(): void;
};

/** Our own file; or the environment; or what Amazon's SDK finds: ~/.aws, the role of the instance or container. */
export function credentialSource(config: S3Config, env: NodeJS.ProcessEnv): CredentialSource {
  if (config.credentials !== undefined) return fromFile(new CredentialsFile(config.credentials.file));
  return new Chain(env);
}

function fromFile(file: CredentialsFile): CredentialSource {
  return {
    current: async () => {
      const { accessKeyId, accessKeySecret, securityToken } = await file.read();
      return { accessKeyId, secretAccessKey: accessKeySecret, sessionToken: securityToken };
    },
    forget: () => {}, // it is looked at before each request
  };
}

type Provider = () => Promise<S3Credentials>;

class Chain implements CredentialSource {
  readonly #env: NodeJS.ProcessEnv;
  #provider: Provider | undefined;
  #found = false;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  async current(): Promise<S3Credentials> {
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN } = this.#env;
    if (accessKeyId && secretAccessKey && !this.#env.AWS_PROFILE)
      return { accessKeyId, secretAccessKey, sessionToken: AWS_SESSION_TOKEN || undefined };
    // The SDK would otherwise keep the first content of ~/.aws for ever.
    const fresh = { ignoreCache: true };
    this.#provider ??= (await import('@aws-sdk/credential-provider-node')).defaultProvider(fresh) as Provider;
    try {
      const found = await this.#provider();
      this.#found = true;
      return found;
    } catch (error) {
      this.forget();
      throw this.#found ? expired(error) : missing(error);
    }
  }

  forget(): void {
    this.#provider = undefined;
  }
}

function missing(cause: unknown): PgproofError {
  return new PgproofError('credentials-missing', 'there are no credentials for the S3 store', {
    hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, fill ~/.aws/credentials, give the instance a role, or name a file under `credentials`.',
    cause,
  });
}

function expired(cause: unknown): PgproofError {
  const hint = 'Where the credentials came from (the role of the instance, ~/.aws) does not answer any more.';
  return new PgproofError('credentials-expired', 'the credentials for the S3 store cannot be renewed', { hint, cause });
}
