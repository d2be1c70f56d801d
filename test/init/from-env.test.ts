import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configText } from '../../client/init/config.ts';
import { type InitOptions, readOptions } from '../../client/init/options.ts';
import { knownSettings } from '../../client/init/settings.ts';
import { chooseStrategy } from '../../core/strategy/choose.ts';
import { parseConfig } from '../../host/config.ts';
import { CredentialsFile } from '../../storage/credentials-file.ts';
import { tempDir } from '../support/temp.ts';

/** What init would write for a file of the old scripts. */
async function takenOver(env: string, options: InitOptions = {}) {
  const folder = tempDir();
  const file = join(folder, 'old.env');
  writeFileSync(file, env);
  const plan = await readOptions(
    { config: join(folder, 'pgproof.yaml'), host: 'db-7', fromEnv: file, ...options },
    'shop',
  );
  expect(readdirSync(folder)).toEqual(['old.env']); // looked at, nothing made
  const scripts = plan.old?.work.scripts ?? [];
  const needs = { bytes: 50e9, rpo: 300, rto: null, offsite: plan.repositories.length > 1, scripts };
  const text = configText(plan, chooseStrategy(needs), 'UTC');
  const config = parseConfig('/pgproof.yaml', text);
  const became = Object.fromEntries((plan.old?.settings ?? []).map((each) => [each.name, each.became]));
  return { plan, text, config, shop: config.clusters.shop!, became, folder };
}

const refusal = (env: string, options?: InitOptions) => takenOver(env, options).catch((error: unknown) => error);

const logical = `# .env of the logical backups
POSTGRES_CONNECTION_MODE=docker
POSTGRES_HOST=postgres
POSTGRES_PORT=5433
POSTGRES_USERNAME=postgres
POSTGRES_PASSWORD=pass#word with = and $igns
POSTGRES_DATABASE=shop

BACKUP_ENCRYPTION_ENABLED=true
BACKUP_ENCRYPTION_ALGORITHM=aes-256-gcm   # recommended
BACKUP_ENCRYPTION_PASSWORD='old secret'
RETENTION_DAYS=14
`;

const physical = `${logical.replace(/RETENTION_DAYS=14\n/, '')}
BASE_BACKUP_RETENTION_DAYS=7
WAL_RETENTION_DAYS=14
BASE_BACKUP_COMPRESSION=true
WAL_COMPRESSION=true
WAL_ENCRYPTION_ENABLED=false
`;

const planA = `export PG_HOST=127.0.0.1
export PG_PORT=5432
export PG_DATABASE=community
export PG_USER=backup
PGPASSWORD="s3cret"
BACKUP_MODE=both
BACKUP_BASE_DIR=/data/db-backups/
BACKUP_LOG_DIR=/var/log/db-backup
RETENTION_DAYS=30
INCLUDE_GLOBALS=true
BACKUP_UPLOAD_TOOL=ossutil
OSS_BUCKET=vault
OSS_ENDPOINT=https://oss-cn-hangzhou-internal.aliyuncs.com
OSS_PREFIX=postgres/backups/
OSS_ACCESS_KEY_ID=LTAI-id
OSS_ACCESS_KEY_SECRET=LTAI-secret
FEISHU_WEBHOOK=https://open.feishu.cn/hook/token-of-it
`;

describe('the settings of the old scripts become a configuration', () => {
  test('of the logical backups', async () => {
    const { plan, shop, became, config, folder } = await takenOver(logical);
    expect(shop.connection).toMatchObject({
      host: 'postgres',
      port: 5433,
      user: 'postgres',
      database: 'postgres',
      password: { file: join(folder, 'shop.password') },
    });
    const kept = { window: 14 * 86_400, minimum: 1 };
    expect(shop.retention).toMatchObject({ window: 7 * 86_400, dumps: { full: kept, incremental: kept } });
    expect(shop.dumps.databases).toEqual(['shop']);
    expect(shop.tools.docker).toBe('postgres');
    const dumps = Object.values(shop.schedules).filter(({ run }) => run === 'dump');
    expect(dumps.map((schedule) => schedule.with)).toEqual([{ tier: 'full' }, { tier: 'incremental' }]);
    expect(shop.key).toBe('shop');
    expect(plan.cipher).toBe('aes-256-gcm');
    expect(Object.keys(config.repositories)).toEqual(['local']);
    expect(plan.secrets).toEqual([
      { name: 'shop.password', content: 'pass#word with = and $igns\n' },
      { name: 'shop.old-encryption-password', content: 'old secret\n' },
    ]);
    expect(plan.password).toBe('pass#word with = and $igns');
    expect(became).toMatchObject({
      POSTGRES_DATABASE: 'configuration',
      POSTGRES_CONNECTION_MODE: 'configuration',
      RETENTION_DAYS: 'configuration',
    });
  });

  test('of the physical backups', async () => {
    const { shop, became, text } = await takenOver(physical);
    expect(shop.retention).toMatchObject({ window: 7 * 86_400, wal: 14 * 86_400, dumps: { weekly: { weekly: 12 } } });
    expect(shop.schedules.base?.calendar).toMatchObject({ calendars: [{ weekdays: [0] }] });
    expect(shop.dumps.databases).toBe('all');
    expect(became).toMatchObject({
      BASE_BACKUP_RETENTION_DAYS: 'configuration',
      WAL_RETENTION_DAYS: 'configuration',
      WAL_ENCRYPTION_ENABLED: 'comment',
      WAL_COMPRESSION: 'comment',
    });
    expect(text).toContain('NOT IN FORCE');
    expect(text).toContain('#   WAL_ENCRYPTION_ENABLED=false: the key seals WAL, too');
  });

  test('of the dumps to a folder and to OSS', async () => {
    const { plan, shop, config, became, text, folder } = await takenOver(planA);
    expect(config.repositories).toMatchObject({
      local: { type: 'file', path: '/data/db-backups/pgproof' },
      oss: {
        type: 'oss',
        bucket: 'vault',
        region: 'cn-hangzhou',
        endpoint: 'internal',
        prefix: 'postgres/backups/pgproof/',
        credentials: { file: join(folder, 'shop.oss-credentials.json') },
      },
    });
    expect(shop.repositories).toEqual(['local', 'oss']);
    expect(Object.values(shop.schedules).map(({ run }) => run)).toContain('copy');
    const { content } = plan.secrets.find(({ name }) => name === 'shop.oss-credentials.json')!;
    const file = join(folder, 'credentials.json');
    writeFileSync(file, content, { mode: 0o600 });
    const read = await new CredentialsFile(file).read(); // as the store does
    expect(read).toMatchObject({ accessKeyId: 'LTAI-id', accessKeySecret: 'LTAI-secret' });
    expect(became).toMatchObject({
      INCLUDE_GLOBALS: 'configuration',
      PG_DATABASE: 'configuration',
      FEISHU_WEBHOOK: 'comment',
      OSS_ACCESS_KEY_SECRET: 'file',
    });
    expect(shop.dumps).toMatchObject({ databases: ['community'], globals: true });
    expect(shop.retention.dumps).toEqual({ daily: { window: 30 * 86_400, minimum: 1 } });
    expect(shop.schedules.dump?.with).toEqual({ tier: 'daily' });
    expect(text).toContain('#   FEISHU_WEBHOOK: not known to pgproof');
  });

  test.each([
    ['BACKUP_MODE=oss\nOSS_BUCKET=oss://vault/deep/\nOSS_REGION=cn-beijing', ['oss'], 'deep/pgproof/'],
    ['BACKUP_MODE=local\nOSS_BUCKET=vault\nOSS_REGION=cn-beijing', ['local'], undefined],
    ['BACKUP_MODE=both\nRCLONE_REMOTE=oss:vault', ['local'], undefined],
    [
      'OSS_BUCKET=vault\nOSS_ENDPOINT=oss-accelerate.aliyuncs.com\nOSS_REGION=oss-cn-beijing',
      ['local', 'oss'],
      'pgproof/',
    ],
  ])('%j goes to %j', async (env, repositories, prefix) => {
    const { shop, config } = await takenOver(env);
    expect(shop.repositories).toEqual(repositories);
    expect((config.repositories.oss as { prefix?: string } | undefined)?.prefix).toBe(prefix);
  });

  test('where the scripts did not encrypt, nothing is, and each list says so', async () => {
    const { plan, shop, text } = await takenOver(
      'BACKUP_ENCRYPTION_ENABLED=false\nBACKUP_ENCRYPTION_ALGORITHM=aes-256-cbc',
    );
    expect(plan.keyFile).toBeNull();
    expect(shop.key).toBeUndefined();
    expect(text).toContain('#   BACKUP_ENCRYPTION_ALGORITHM=aes-256-cbc: nothing is encrypted');
  });

  test.each([
    ['POSTGRES_CONNECTION_MODE=docker\nPOSTGRES_HOST=host.docker.internal', undefined, 'comment'],
    ['POSTGRES_CONNECTION_MODE=docker\nPOSTGRES_HOST=10.0.0.7', undefined, 'comment'],
    ['POSTGRES_CONNECTION_MODE=docker', undefined, 'comment'],
    ['POSTGRES_CONNECTION_MODE=host\nPOSTGRES_HOST=postgres', undefined, 'comment'],
    ['POSTGRES_CONNECTION_MODE=docker\nPOSTGRES_HOST=pg-main', 'pg-main', 'configuration'],
  ])('%j: pg_dump runs in container %j', async (env, container, mode) => {
    const { shop, became } = await takenOver(env, { address: '127.0.0.1' });
    expect(shop.tools.docker).toBe(container);
    expect(became.POSTGRES_CONNECTION_MODE).toBe(mode);
    expect(shop.connection.host).toBe('127.0.0.1');
  });

  test('a flag wins over the setting that says the same, and the setting says so', async () => {
    const { plan, shop, text } = await takenOver(logical, { address: '10.0.0.7', repository: '/backups', key: false });
    expect(shop.connection.host).toBe('10.0.0.7');
    expect(plan.keyFile).toBeNull();
    expect(text).toContain('#   POSTGRES_HOST=postgres: --address says otherwise');
    expect(text).toContain('#   BACKUP_ENCRYPTION_ENABLED=true: --key says otherwise');
    const other = await takenOver('BACKUP_ENCRYPTION_ALGORITHM=aes-256-cbc', { cipher: 'chacha20-poly1305' });
    expect(other.plan.cipher).toBe('chacha20-poly1305');
    expect(other.text).toContain('#   BACKUP_ENCRYPTION_ALGORITHM=aes-256-cbc: --cipher says otherwise');
    expect((await takenOver(logical, { user: 'postgres' })).plan.secrets.map(({ name }) => name)).not.toContain(
      'shop.password',
    );
  });
});

describe('nothing is dropped, and no secret is shown', () => {
  /** A value that each known setting takes; secrets are marked. */
  const values: Record<string, string> = {
    POSTGRES_CONNECTION_MODE: 'host',
    BACKUP_MODE: 'both',
    BACKUP_BASE_DIR: '/data',
    BACKUP_ENCRYPTION_ALGORITHM: 'aes-192-cbc',
    OSS_ENDPOINT: 'oss-cn-hangzhou.aliyuncs.com',
    OSS_BUCKET: 'vault',
  };
  const sample = (name: string): string => {
    if (knownSettings[name]?.isSecret) return `hush-${name}`;
    if (/PORT$/.test(name)) return '5432';
    if (/DAYS$/.test(name)) return '9';
    if (/ENABLED$|COMPRESSION$|GLOBALS$/.test(name)) return 'true';
    return values[name] ?? 'plain';
  };
  /** Each meaning once: of two names for the same, the first. */
  const names = Object.keys(knownSettings).filter((name) => !/^PG|SESSION/.test(name));

  test.each(Object.keys(knownSettings))('%s', async (name) => {
    const alone = name.startsWith('OSS_ACCESS')
      ? [name === 'OSS_ACCESS_KEY_ID' ? 'OSS_ACCESS_KEY_SECRET' : 'OSS_ACCESS_KEY_ID']
      : [];
    const more = /^OSS_(SECURITY|SESSION)/.test(name) ? ['OSS_ACCESS_KEY_ID', 'OSS_ACCESS_KEY_SECRET'] : alone;
    const all = [...new Set([name, ...more, ...(name.startsWith('OSS') ? ['OSS_BUCKET', 'OSS_REGION'] : [])])];
    const { plan, text, became } = await takenOver(all.map((each) => `${each}=${sample(each)}`).join('\n'));
    expect(Object.keys(became)).toEqual(all);
    const secret = knownSettings[name]?.isSecret === true;
    if (became[name] === 'comment') expect(text).toContain(`#   ${name}${secret ? '' : '='}`);
    expect(text).not.toContain('hush');
    expect(JSON.stringify(plan.old?.settings)).not.toContain('hush');
    if (secret) expect(plan.secrets.map(({ content }) => content).join('')).toContain(`hush-${name}`);
  });

  test('of any mixture of known and unknown settings', async () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    for (let turn = 0; turn < 300; turn += 1) {
      const some = names.filter(() => random(3) === 0);
      const strange = Array.from({ length: random(4) }, (_, index) => `STRANGE_${turn}_${index}`);
      const keys = ['OSS_ACCESS_KEY_ID', 'OSS_ACCESS_KEY_SECRET', 'OSS_BUCKET', 'OSS_REGION'];
      const all = [...new Set([...some, ...strange, ...(some.some((each) => each.startsWith('OSS_')) ? keys : [])])];
      const { plan, text } = await takenOver(
        all.map((each) => `${each}="${/^S/.test(each) ? 'hush' : sample(each)}"`).join('\n'),
      );
      expect(plan.old?.settings.map(({ name }) => name)).toEqual(all);
      for (const { name, became } of plan.old?.settings ?? [])
        if (became === 'comment') expect(text).toContain(`#   ${name}`);
      expect(text).not.toContain('hush');
      expect(JSON.stringify(plan.old?.settings)).not.toContain('hush');
    }
  });
});

describe('a file that leaves a doubt is refused before anything is made', () => {
  test.each([
    ['POSTGRES_PORT=54x', "POSTGRES_PORT in '.*': '54x' is not a port"],
    [`POSTGRES_DATABASE=${'x'.repeat(64)}`, 'is not the name of a database, at most 63 bytes'],
    ['RETENTION_DAYS=0', "RETENTION_DAYS in '.*': '0' is not a number of days"],
    ['BACKUP_ENCRYPTION_ENABLED=maybe', "'maybe' is not true or false"],
    ['BACKUP_ENCRYPTION_ALGORITHM=des', "'des' is not one of aes-256-gcm, "],
    ['BACKUP_MODE=tape', "'tape' is not local, oss or both"],
    ['BACKUP_BASE_DIR=backups', "'backups' is not an absolute path"],
    ['POSTGRES_PORT=1\nPG_PORT=2', "'2' is not what POSTGRES_PORT says"],
    ['POSTGRES_PASSWORD=one\nPGPASSWORD=hush', 'PGPASSWORD in .*: its value is not what POSTGRES_PASSWORD says'],
    ['BACKUP_MODE=oss', 'no OSS_BUCKET says which bucket'],
    ['OSS_BUCKET=vault', 'says no region of the bucket'],
    ['OSS_BUCKET=vault\nOSS_REGION=cn-beijing\nOSS_ACCESS_KEY_ID=x', 'belong together'],
    ['PG_HOST=a\nhush without a name', 'line 2 of .* it is no NAME=value'],
    ['PG_HOST=a\nPG_PORT=1\nPG_HOST=b', 'line 3 of .* PG_HOST stands in line 1, too'],
    ['PGPASSWORD="hush', 'line 1 of .* the quotes around the value of PGPASSWORD do not match'],
    ['PGPASSWORD=a\tb', 'control character'],
  ])('%j', async (env, message) => {
    const error = (await refusal(env)) as Error & { hint: string };
    expect(error).toMatchObject({ code: 'usage' });
    expect(error.message).toMatch(new RegExp(message));
    expect(`${error.message}${error.hint}`).not.toContain('hush');
  });

  test('one of another encoding, one that is no file, and one that is far too large', async () => {
    const latin = join(tempDir(), 'latin.env');
    writeFileSync(latin, Buffer.from('PGPASSWORD=hush\u00e4', 'latin1')); // would become another password
    const error = (await refusal('', { fromEnv: latin })) as Error;
    expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining('UTF-8') });
    expect(error.message).not.toContain('hush');
    const pipe = join(tempDir(), 'pipe.env');
    execFileSync('mkfifo', [pipe]); // nobody ever writes to it
    expect(await refusal('', { fromEnv: pipe })).toMatchObject({ code: 'usage' });
    expect(await refusal('', { fromEnv: tempDir() })).toMatchObject({ code: 'usage' });
    expect(await refusal('#'.repeat(1_000_001))).toMatchObject({ code: 'usage' });
  });

  test('one that is not there, a role beside it, and what no configuration may say', async () => {
    const clear = 'OSS_BUCKET=vault\nOSS_ENDPOINT=http://files.example.com\nOSS_REGION=cn-beijing';
    expect(await refusal(clear)).toMatchObject({ code: 'config-invalid' });
    expect(await refusal('', { fromEnv: '/no/such/.env' })).toMatchObject({ code: 'usage' });
    expect(await refusal('', { role: 'pgproof' })).toMatchObject({ code: 'usage' });
  });
});
