import type { Cluster } from '../support/postgres.ts';
import { until } from '../support/until.ts';

/** Makes the server read its files again, and waits until sessions that begin from now on see them (pg_hba.conf too). */
export async function reloadConfig(cluster: Cluster): Promise<void> {
  const loaded = async () => (await cluster.sql('SELECT pg_conf_load_time()::text AS at'))[0]?.at;
  const before = await loaded();
  await cluster.sql('SELECT pg_reload_conf()');
  await until(async () => (await loaded()) !== before, 20);
}
