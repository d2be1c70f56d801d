/** One setting of PostgreSQL that has to change. */
export type SettingChange = {
  name: string;
  current: string | null;
  proposed: string;
  /** It takes effect at the next restart of PostgreSQL; otherwise pg_reload_conf() is enough. */
  restart: boolean;
  reason: string;
};

/** What a superuser has to do in a server so that pgproof can protect it. Nothing of it is carried out by us. */
export type Proposal = {
  role: string;
  database: string;
  /** Makes the least-privilege role and its schema; may be run again. */
  roleSql: string;
  settings: SettingChange[];
  /** ALTER SYSTEM statements for `settings`; empty when nothing has to change. */
  settingsSql: string;
  /** Lines for pg_hba.conf, above those that would refuse the role. */
  hba: string[];
  /** Lines for pg_ident.conf; empty unless the role logs in by peer. */
  ident: string[];
  restart: boolean;
};
