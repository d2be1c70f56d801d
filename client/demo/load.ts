import type { ConnectionConfig } from '../../core/config.ts';
import { withClient } from '../../postgres/client.ts';

const schema = `
  create table customers (id bigint generated always as identity primary key, name text not null, joined_at timestamptz not null default now());
  create table orders (id bigint generated always as identity primary key, customer_id bigint not null references customers, amount numeric(10,2) not null, note text, placed_at timestamptz not null default now());
  insert into customers (name) select 'customer ' || n from generate_series(1, 2000) n;
  insert into orders (customer_id, amount, note) select 1 + n % 2000, (n % 9973) / 7.0, repeat(md5(n::text), 4) from generate_series(1, 200000) n;
`;

/** A small shop with 200,000 orders: enough to see phases, little enough to wait for. */
export async function fillDatabase(connection: ConnectionConfig, signal: AbortSignal): Promise<void> {
  await withClient(connection, (client) => client.query(schema), { signal, applicationName: 'demo shop' });
}

export type Load = { stop(): Promise<{ orders: number }> };

/** Places orders, one transaction each, until it is stopped. A failed order ends the load with its error at stop(). */
export function startLoad(connection: ConnectionConfig, signal: AbortSignal): Load {
  const stopping = new AbortController();
  const placing = withClient(
    connection,
    async (client) => {
      let orders = 0;
      while (!stopping.signal.aborted && !signal.aborted) {
        await client.query(
          "insert into orders (customer_id, amount, note) values (1 + (random() * 1999)::int, random() * 100, 'placed while the backup ran')",
        );
        orders += 1;
        await pause(10, stopping.signal);
      }
      return { orders };
    },
    { applicationName: 'demo load' },
  );
  // Seen at stop(); without a listener until then Node would end the process.
  placing.catch(() => {});
  return {
    stop: () => {
      stopping.abort();
      return placing;
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
