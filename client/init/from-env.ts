import { PgproofError } from '../../core/errors.ts';
import { type Line, readEnvFile } from './env-file.ts';
import {
  credentialsFile,
  isBucket,
  isEncrypted,
  isLocal,
  localFolder,
  type Old,
  oldPasswordFile,
  passwordFile,
} from './old.ts';
import { containerOf, type OldWork, scriptsOf, workOf } from './old-work.ts';
import { type RepositorySection, repositorySection } from './repository.ts';
import { type Known, knownSettings, refusedSetting, type Setting } from './settings.ts';

/** A file that is made beside the configuration, mode 0600. @param name without its folder. */
export type SecretFile = { name: string; content: string };

/** What the old scripts' settings say; absent where they say nothing. */
export type OldScripts = {
  where?: { socket: string } | { host: string };
  port?: number;
  user?: string;
  password?: string;
  cipher?: NonNullable<Old['cipher']>;
  encrypted: boolean;
  /** Nearest first. */
  repositories: [RepositorySection, ...RepositorySection[]];
  work: OldWork;
  secrets: SecretFile[];
  settings: Setting[];
};

/**
 * Turns the settings of the old shell scripts into what `init` needs. Each of them is in the answer's `settings`: none is dropped.
 * @param folder where the secrets will be. @param flags of `init` that were given; each wins over the setting that says the same.
 * @throws {PgproofError} `usage` for a file that cannot be read, a value that means nothing, and settings that contradict each other.
 */
export async function readOldScripts(
  file: string,
  { cluster, folder, flags }: { cluster: string; folder: string; flags: ReadonlySet<string> },
): Promise<OldScripts> {
  const lines = await readEnvFile(file);
  const overruling: Overruling = ({ flag = [] }) => [flag].flat().find((each) => flags.has(each));
  const read = readAll(file, lines, overruling);
  const old: Old = { ...read, scripts: scriptsOf(read, lines), ...containerOf(read, lines) };
  return {
    ...whereOf(old),
    ...(old.port === undefined ? {} : { port: old.port }),
    ...(old.user === undefined ? {} : { user: old.user }),
    ...(old.password === undefined ? {} : { password: old.password }),
    ...(old.cipher === undefined ? {} : { cipher: old.cipher }),
    encrypted: isEncrypted(old),
    repositories: repositoriesOf(old, cluster, folder, file),
    work: workOf(old),
    secrets: secretsOf(old, cluster),
    settings: lines.map(({ name, value }) => becameOf(name, value, old, cluster, overruling)),
  };
}

/** The flag that was given and says the same as a setting. */
type Overruling = (known: Known) => string | undefined;

function readAll(file: string, lines: readonly Line[], overruling: Overruling): Old {
  const old: Old = {};
  const from: Partial<Record<keyof Old, string>> = {};
  for (const { name, value } of lines) {
    const known = knownSettings[name];
    if (known?.into === undefined || overruling(known) !== undefined) continue;
    const [key, read, allowed] = known.into;
    const shown = known.isSecret ? null : value;
    const taken = read(value);
    if (taken === undefined) throw refusedSetting(file, name, shown, allowed);
    if (from[key] !== undefined && old[key] !== taken)
      throw refusedSetting(file, name, shown, `what ${from[key]} says, and both mean the same setting`);
    Object.assign(old, { [key]: taken });
    from[key] = name;
  }
  return { ...old, ...(old.store === undefined && old.bucket === undefined ? {} : { store: old.store ?? 'both' }) };
}

function becameOf(name: string, value: string, old: Old, cluster: string, overruling: Overruling): Setting {
  const known = Object.hasOwn(knownSettings, name) ? knownSettings[name] : undefined;
  if (known === undefined)
    return { name, became: 'comment', value: null, text: 'not known to pgproof; its value stays where it is' };
  const shown = known.isSecret ? null : value;
  const flag = overruling(known);
  if (flag !== undefined) return { name, became: 'comment', value: shown, text: `--${flag} says otherwise` };
  const [became, text] = known.became(old, cluster);
  return { name, became, value: shown, text };
}

function whereOf({ host }: Old): Pick<OldScripts, 'where'> {
  if (host === undefined) return {};
  if (host.startsWith('/')) return { where: { socket: host } };
  return { where: { host: host === 'host.docker.internal' ? '127.0.0.1' : host } };
}

function repositoriesOf(old: Old, cluster: string, folder: string, file: string): OldScripts['repositories'] {
  const bucket = isBucket(old) ? bucketOf(old, cluster, folder, file) : undefined;
  const local = repositorySection({ repository: old.folder === undefined ? undefined : localFolder(old) });
  if (isLocal(old)) return bucket === undefined ? [local] : [local, bucket];
  if (bucket !== undefined) return [bucket];
  throw new PgproofError('usage', `BACKUP_MODE in '${file}' is oss, and no OSS_BUCKET says which bucket`, {
    facts: { file, name: 'BACKUP_MODE' },
    hint: 'Add OSS_BUCKET and OSS_REGION, or give --repository oss://bucket/prefix --region REGION.',
  });
}

function bucketOf(old: Old, cluster: string, folder: string, file: string): RepositorySection {
  const bare = (text: string): string => text.replace(/^oss:\/\//, '').replace(/^\/+|\/+$/g, '');
  const [bucket, ...below] = bare(old.bucket as string).split('/');
  const prefix = [...below, ...(old.prefix === undefined ? [] : [bare(old.prefix)]), 'pgproof']
    .filter(Boolean)
    .join('/');
  const { region, endpoint } = endpointOf(old, file);
  const credentials =
    old.accessKeyId === undefined ? {} : { credentials: { file: `${folder}/${credentialsFile(cluster)}` } };
  return {
    name: 'oss',
    section: { type: 'oss', bucket, prefix: `${prefix}/`, region, ...endpoint, ...credentials },
  };
}

/** Alibaba's own endpoints hold the region; another address needs OSS_REGION beside it. */
function endpointOf(old: Old, file: string): { region: string; endpoint: Record<string, string> } {
  const host = old.endpoint?.replace(/^https?:\/\//, '').replace(/\/+$/, '');
  const [, name, internal] = /^oss-([a-z0-9-]+?)(-internal)?\.aliyuncs\.com$/.exec(host ?? '') ?? [];
  const region = old.region?.replace(/^oss-/, '') ?? (name?.startsWith('accelerate') ? undefined : name);
  if (region === undefined)
    throw new PgproofError('usage', `'${file}' says no region of the bucket`, {
      facts: { file, name: 'OSS_REGION' },
      hint: 'Add OSS_REGION=cn-hangzhou, or whichever it is.',
    });
  if (host === undefined) return { region, endpoint: {} };
  const scheme = old.endpoint?.startsWith('http://') ? 'http' : 'https';
  if (name === undefined) return { region, endpoint: { endpoint: `${scheme}://${host}` } };
  if (name.startsWith('accelerate')) return { region, endpoint: { endpoint: 'accelerate' } };
  return { region, endpoint: internal === undefined ? {} : { endpoint: 'internal' } };
}

function secretsOf(old: Old, cluster: string): SecretFile[] {
  const { password, encryptionPassword, accessKeyId, accessKeySecret, securityToken } = old;
  const line = (name: string, secret: string | undefined): SecretFile[] =>
    secret === undefined ? [] : [{ name, content: `${secret}\n` }];
  const bucket =
    isBucket(old) && (accessKeyId !== undefined || accessKeySecret !== undefined || securityToken !== undefined);
  if (bucket && (accessKeyId === undefined || accessKeySecret === undefined))
    throw new PgproofError('usage', 'OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET belong together', {
      hint: 'Give both, or neither: then OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET of the environment are used.',
    });
  const keys = JSON.stringify({ accessKeyId, accessKeySecret, securityToken }, null, 2);
  return [
    ...line(passwordFile(cluster), password),
    ...line(oldPasswordFile(cluster), encryptionPassword),
    ...line(credentialsFile(cluster), bucket ? keys : undefined),
  ];
}
