/** A configuration, as it is written, of clusters that have nothing but schedules. */
export function fleetOf(
  clusters: Record<string, Record<string, unknown>>,
  { repositories = ['near'], ...more }: Record<string, unknown> & { repositories?: string[] } = {},
) {
  return {
    hosts: { 'db-7': {} },
    repositories: Object.fromEntries(repositories.map((name) => [name, { type: 'file', path: `/no/such/${name}` }])),
    clusters: Object.fromEntries(
      Object.entries(clusters).map(([name, schedules]) => [
        name,
        { host: 'db-7', connection: { socket: '/no/such/folder' }, repositories, schedules },
      ]),
    ),
    ...more,
  };
}
