import { ciphers } from '../../codec/sealing.ts';
import { databaseName } from '../../core/dump.ts';
import { PgproofError } from '../../core/errors.ts';
import {
  credentialsFile,
  hasDumps,
  isBucket,
  isEncrypted,
  isLocal,
  localFolder,
  type Old,
  oldPasswordFile,
  passwordFile,
  windowDays,
} from './old.ts';

/** What became of one setting of the old scripts. `comment`: it has no effect, and the configuration says so. */
export type Setting = {
  name: string;
  became: 'configuration' | 'file' | 'comment';
  /** Null where the value may be a secret: then it stands nowhere but where it stood. */
  value: string | null;
  text: string;
};

/** The flag of `init` that says the same, and wins. */
type Flag = 'address' | 'port' | 'user' | 'key' | 'cipher' | 'repository';

export type Known = {
  /** Reads the value into its place. @throws {PgproofError} `usage` for a value that means nothing. */
  into?: { [Key in keyof Old]-?: [Key, (value: string) => Old[Key] | undefined, string] }[keyof Old];
  flag?: Flag | readonly Flag[];
  /** Its value is never shown and never written into the configuration. */
  isSecret?: boolean;
  /** What became of it, once all were read. */
  became(old: Old, cluster: string): [Setting['became'], string];
};

const text = (value: string): string => value;
const word =
  <Word extends string>(...words: Word[]) =>
  (value: string): Word | undefined =>
    words.find((each) => each === value);
const yes = (value: string): boolean | undefined =>
  /^(?:true|yes|on|1)$/i.test(value) ? true : /^(?:false|no|off|0)$/i.test(value) ? false : undefined;
const days = (value: string): number | undefined => (/^[1-9]\d{0,4}$/.test(value) ? Number(value) : undefined);
const port = (value: string): number | undefined =>
  /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65_535 ? Number(value) : undefined;
const path = (value: string): string | undefined => (value.startsWith('/') ? value : undefined);

const host: Known = {
  into: ['host', text, 'a host'],
  flag: 'address',
  became: ({ host: where }, cluster) => [
    'configuration',
    where === 'host.docker.internal'
      ? `clusters.${cluster}.connection.host: that is this machine, 127.0.0.1`
      : `clusters.${cluster}.connection.${where?.startsWith('/') ? 'socket' : 'host'}`,
  ],
};
const serverPort: Known = {
  into: ['port', port, 'a port from 1 to 65535'],
  flag: 'port',
  became: (_, cluster) => ['configuration', `clusters.${cluster}.connection.port`],
};
const user: Known = {
  into: ['user', text, 'a role'],
  flag: 'user',
  became: (_, cluster) => [
    'configuration',
    `clusters.${cluster}.connection.user; a role of its own would do with fewer rights`,
  ],
};
const password: Known = {
  into: ['password', text, 'a password'],
  flag: 'user',
  isSecret: true,
  became: (_, cluster) => ['file', `${passwordFile(cluster)}, which clusters.${cluster}.connection.password names`],
};
const database: Known = {
  into: ['database', (value) => databaseName.safeParse(value).data, 'the name of a database, at most 63 bytes'],
  became: (old, cluster) =>
    hasDumps(old)
      ? ['configuration', `clusters.${cluster}.dumps.databases; a base backup holds all databases`]
      : ['comment', 'where the scripts connected to; base backups and dumps hold all databases'],
};
const token: Known = {
  into: ['securityToken', text, 'a token'],
  flag: 'repository',
  isSecret: true,
  became: credentials,
};
const compression: Known = { became: () => ['comment', 'backups and WAL are always compressed, with zstd'] };

/** Every setting that the scripts knew (docs/from-old-scripts.md). */
export const knownSettings: Record<string, Known> = {
  POSTGRES_CONNECTION_MODE: {
    into: ['mode', word('docker', 'host'), 'docker or host'],
    became: ({ mode, container }, cluster) => {
      if (mode !== 'docker') return ['comment', 'pgproof always runs on the host of the server'];
      return container === undefined
        ? [
            'comment',
            `POSTGRES_HOST names no container: if pg_dump shall run in one, set clusters.${cluster}.tools.docker`,
          ]
        : [
            'configuration',
            `clusters.${cluster}.tools.docker: pg_dump runs in container '${container}'; for backups see docs/containers.md`,
          ];
    },
  },
  POSTGRES_HOST: host,
  PG_HOST: host,
  PGHOST: host,
  POSTGRES_PORT: serverPort,
  PG_PORT: serverPort,
  PGPORT: serverPort,
  POSTGRES_USERNAME: user,
  PG_USER: user,
  PGUSER: user,
  POSTGRES_PASSWORD: password,
  PG_PASSWORD: password,
  PGPASSWORD: password,
  POSTGRES_DATABASE: database,
  PG_DATABASE: database,
  PGDATABASE: database,

  BACKUP_ENCRYPTION_ENABLED: {
    into: ['encrypted', yes, 'true or false'],
    flag: 'key',
    became: (old, cluster) =>
      isEncrypted(old)
        ? ['configuration', `clusters.${cluster}.key: a random key, in a file of its own`]
        : ['configuration', `clusters.${cluster} has no key: NOT ENCRYPTED, NOT AUTHENTICATED, as before`],
  },
  BACKUP_ENCRYPTION_ALGORITHM: {
    into: ['cipher', word(...ciphers), `one of ${ciphers.join(', ')}`],
    flag: ['cipher', 'key'],
    became: (old) =>
      isEncrypted(old)
        ? ['file', `the cipher of the key file${authentication(old)}`]
        : ['comment', 'nothing is encrypted'],
  },
  BACKUP_ENCRYPTION_PASSWORD: {
    into: ['encryptionPassword', text, 'a password'],
    isSecret: true,
    became: (_, cluster) => [
      'file',
      `${oldPasswordFile(cluster)}: it opens what the scripts have made, and nothing of pgproof`,
    ],
  },
  WAL_ENCRYPTION_ENABLED: {
    into: ['walEncrypted', yes, 'true or false'],
    flag: 'key',
    became: (old, cluster) => {
      if (!isEncrypted(old)) return ['comment', 'nothing is encrypted'];
      if (old.walEncrypted) return ['configuration', `clusters.${cluster}.key seals backups and WAL`];
      return ['comment', 'the key seals WAL, too: WAL holds the same data as the backups'];
    },
  },

  RETENTION_DAYS: {
    into: ['days', days, 'a number of days from 1 to 99999'],
    became: (_, cluster) => ['configuration', `clusters.${cluster}.retention.dumps: dumps of each tier`],
  },
  BASE_BACKUP_RETENTION_DAYS: {
    into: ['baseDays', days, 'a number of days from 1 to 99999'],
    became: (_, cluster) => ['configuration', `clusters.${cluster}.retention.window`],
  },
  WAL_RETENTION_DAYS: {
    into: ['walDays', days, 'a number of days from 1 to 99999'],
    became: (old, cluster) =>
      (old.walDays as number) > windowDays(old)
        ? ['configuration', `clusters.${cluster}.retention.wal`]
        : ['comment', 'WAL is kept as long as the backups that need it, which is not less'],
  },
  BASE_BACKUP_COMPRESSION: compression,
  WAL_COMPRESSION: compression,

  BACKUP_MODE: {
    into: ['store', word('local', 'oss', 'both'), 'local, oss or both'],
    flag: 'repository',
    became: (old) =>
      old.store !== 'local' && old.bucket === undefined
        ? ['comment', 'no OSS_BUCKET says which bucket: ONLY THE LOCAL REPOSITORY is configured; add the other one']
        : ['configuration', 'repositories'],
  },
  BACKUP_BASE_DIR: {
    into: ['folder', path, 'an absolute path'],
    flag: 'repository',
    became: (old) =>
      isLocal(old)
        ? ['configuration', `repositories.local.path: ${localFolder(old)}; what lies beside it stays as it is`]
        : ['comment', 'backups go to the bucket'],
  },
  BACKUP_LOG_DIR: {
    became: () => ['comment', 'a worker logs to stderr, for the journal; reports lie in the repository'],
  },
  BACKUP_UPLOAD_TOOL: { became: () => ['comment', 'pgproof speaks to the bucket itself'] },
  INCLUDE_GLOBALS: {
    into: ['globals', yes, 'true or false'],
    became: (_, cluster) => ['configuration', `clusters.${cluster}.dumps.globals`],
  },
  OSS_BUCKET: { into: ['bucket', text, 'a bucket'], flag: 'repository', became: bucketKey('bucket') },
  OSS_REGION: { into: ['region', text, 'a region'], flag: 'repository', became: bucketKey('region') },
  OSS_ENDPOINT: {
    into: ['endpoint', text, 'an endpoint'],
    flag: 'repository',
    became: bucketKey('region and endpoint'),
  },
  OSS_PREFIX: {
    into: ['prefix', text, 'a prefix'],
    flag: 'repository',
    became: bucketKey('prefix, and below it pgproof/'),
  },
  OSS_ACCESS_KEY_ID: {
    into: ['accessKeyId', text, 'a key id'],
    flag: 'repository',
    isSecret: true,
    became: credentials,
  },
  OSS_ACCESS_KEY_SECRET: {
    into: ['accessKeySecret', text, 'a secret'],
    flag: 'repository',
    isSecret: true,
    became: credentials,
  },
  OSS_SECURITY_TOKEN: token,
  OSS_SESSION_TOKEN: token,
};

function authentication({ cipher }: Old): string {
  return cipher?.endsWith('-cbc') ? '; it hides and does not authenticate, aes-256-gcm would' : '';
}

function bucketKey(key: string): Known['became'] {
  return (old) => (isBucket(old) ? ['configuration', `repositories.oss.${key}`] : ['comment', noBucket(old)]);
}

function credentials(old: Old, cluster: string): [Setting['became'], string] {
  return isBucket(old)
    ? ['file', `${credentialsFile(cluster)}, which repositories.oss.credentials names`]
    : ['comment', noBucket(old)];
}

const noBucket = ({ store }: Old): string =>
  store === 'local' ? 'BACKUP_MODE is local: no bucket is configured' : 'no OSS_BUCKET says which bucket';

/** @throws {PgproofError} `usage` with the option, its value unless it is a secret, and what is allowed. */
export function refusedSetting(file: string, name: string, value: string | null, allowed: string): PgproofError {
  const said = value === null ? 'its value' : `'${value}'`;
  return new PgproofError('usage', `${name} in '${file}': ${said} is not ${allowed}`, {
    facts: { file, name },
    hint: 'Correct it there, or leave it out; nothing was touched.',
  });
}
