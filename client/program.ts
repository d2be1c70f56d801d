import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { backupVerb } from './backup.ts';
import { checkVerb } from './check.ts';
import { copyVerb } from './copy.ts';
import { demoVerb } from './demo/demo.ts';
import { drillVerb } from './drill.ts';
import { dumpVerb } from './dump.ts';
import { eraVerb } from './era.ts';
import { expireVerb } from './expire.ts';
import { heartbeatVerb } from './heartbeat.ts';
import { holdVerb } from './hold.ts';
import { importVerb } from './import.ts';
import { initVerb } from './init/init.ts';
import { keyVerb } from './key.ts';
import { listVerb } from './list.ts';
import { ownerVerb } from './owner.ts';
import { reportsVerb } from './reports.ts';
import { restoreVerb } from './restore.ts';
import { schedulesVerb } from './schedules.ts';
import { serviceVerb } from './service.ts';
import { showVerb } from './show.ts';
import { upVerb } from './up.ts';
import { verifyVerb } from './verify.ts';
import { walVerb } from './wal.ts';
import { workerVerb } from './worker.ts';

/** The command line (DESIGN §9): one file a verb. Wrong use throws a CommanderError; main.ts gives it its exit code. */
export function createProgram(): Command {
  const program = new Command('pgproof')
    .description('PostgreSQL backup and recovery. Backups are claims. Drills are proof.')
    .version(version(), '-V, --version')
    .option('--config <file>', 'configuration; default ./pgproof.yaml, then /etc/pgproof/pgproof.yaml')
    .option('--host <name>', "this host's name in the configuration; default its hostname")
    .option('--json', 'one JSON document on stdout, everything else on stderr')
    .configureOutput({ writeOut: (text) => process.stdout.write(text), writeErr: () => {} })
    .showSuggestionAfterError()
    .exitOverride();
  const verbs = [
    demoVerb,
    initVerb,
    checkVerb,
    upVerb,
    workerVerb,
    serviceVerb,
    backupVerb,
    dumpVerb,
    copyVerb,
    expireVerb,
    listVerb,
    showVerb,
    reportsVerb,
    drillVerb,
    verifyVerb,
    restoreVerb,
    schedulesVerb,
    walVerb,
    heartbeatVerb,
    eraVerb,
    keyVerb,
    importVerb,
    holdVerb,
    ownerVerb,
  ];
  for (const make of verbs) program.addCommand(inherit(make(), program));
  return program;
}

/** addCommand copies no settings: without this a sub-command would exit by itself instead of throwing. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
  return command;
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
