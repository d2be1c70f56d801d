import { readFileSync } from 'node:fs';
import { Command, type CommanderError } from 'commander';
import { PgproofError } from '../core/errors.ts';
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

/** The command line: one file a verb. Wrong use throws `usage`; help and version a CommanderError of exit code 0. */
export function createProgram(): Command {
  const program = new Command('pgproof')
    .description('PostgreSQL backup and recovery. Backups are claims. Drills are proof.')
    .version(version(), '-V, --version')
    .option('--config <file>', 'configuration; default ./pgproof.yaml, then /etc/pgproof/pgproof.yaml')
    .option('--host <name>', "this host's name in the configuration; default its hostname")
    .option('--json', 'one JSON document on stdout, everything else on stderr')
    .configureOutput({ writeOut: (text) => process.stdout.write(text), writeErr: () => {} })
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError();
  program.exitOverride(refuse(program, 'pgproof'));
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
  for (const make of verbs) program.addCommand(inherit(make(), program, 'pgproof'));
  return program;
}

/** addCommand copies no settings: without this a sub-command would exit by itself instead of throwing. */
function inherit(command: Command, parent: Command, above: string): Command {
  const path = `${above} ${command.name()}`;
  command.copyInheritedSettings(parent).exitOverride(refuse(command, path));
  for (const child of command.commands) inherit(child, command, path);
  return command;
}

/** What is wrong, and how this command is written; commander itself says no more than the first. */
function refuse(command: Command, path: string): (error: CommanderError) => never {
  return (error) => {
    if (error.exitCode === 0) throw error;
    const names = command.commands.map((child) => child.name()).join(', ');
    const message = error.code === 'commander.help' ? `${path} needs a command` : error.message.replace(/^error: /, '');
    throw new PgproofError('usage', message, {
      hint:
        names === ''
          ? `Usage: ${path} ${command.usage()}; see \`${path} --help\`.`
          : `One of: ${names}; see \`${path} --help\`.`,
    });
  };
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
