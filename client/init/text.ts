import { resolve } from 'node:path';
import { configPlaces } from '../../host/paths.ts';
import { table } from '../text.ts';
import type { Setup } from './plan.ts';
import type { Setting } from './settings.ts';

/** All of them: what has no effect any more must not look as if it had. */
export function renderOldSettings(settings: readonly Setting[]): string {
  const marks = { configuration: 'taken over', file: 'taken over', comment: 'NOT TAKEN' } as const;
  return table(
    ['OLD SETTING', '', 'NOW'],
    settings.map(({ name, became, text }) => [name, marks[became], text]),
  );
}

/** What init has done, and the numbered steps that are left to a person. */
export function renderSetup(setup: Setup): string {
  const steps = [
    ...sql(setup),
    ...lines('Into pg_hba.conf, above lines that would refuse the role; then: SELECT pg_reload_conf();', setup.hba),
    ...lines('Into pg_ident.conf:', setup.ident),
    ...settings(setup),
    ...start(setup),
    ...proof(setup),
  ];
  return [
    `PostgreSQL ${setup.server}, era ${setup.era}`,
    `configuration  ${setup.configFile}${setup.strategy === null ? '  (was there, and stays as it is)' : ''}`,
    ...setup.repositories.map((location) => `repository     ${location}`),
    setup.keyFile === null
      ? 'key            none: NOT ENCRYPTED, NOT AUTHENTICATED'
      : `key            ${setup.keyFile}  (copy it to a place that is not this machine: without it no backup can be read)`,
    ...(setup.strategy === null ? [] : [`strategy       ${setup.strategy.why}`, ...setup.strategy.notes.map(note)]),
    '',
    'Nothing was changed in the server. What is left to do:',
    '',
    ...steps.map((step, index) => `${String(index + 1).padStart(2)}.  ${step}\n`),
  ]
    .join('\n')
    .trimEnd();
}

const note = (sentence: string): string => `               ${sentence}`;

function sql({ roleSql, database }: Setup): string[] {
  if (roleSql === '') return [];
  return [`As a superuser in database '${database}':\n${indent(roleSql)}`];
}

function start({ isRunning, isStandby, configFile }: Setup): string[] {
  if (isRunning) return [];
  if (isStandby) return [`Start the worker of this standby:\n     pgproof worker --config ${configFile}`];
  return [`Start everything:\n     pgproof up --config ${configFile}`];
}

/** A standby gets the heartbeat's table from its primary, where backups and drills are asked for, too. */
function proof({ cluster, configFile, isRunning, isStandby, hasHeartbeat }: Setup): string[] {
  const flag = isFoundHere(configFile) ? '' : ` --config ${configFile}`;
  const line = (verb: string): string => `pgproof ${verb}${flag}`;
  const where = isRunning ? 'Look, back up, prove:' : 'In another terminal:';
  if (isStandby) return [`In another terminal:\n     ${line(`check ${cluster}`)}`];
  const heartbeat = hasHeartbeat ? '' : `${line(`heartbeat install ${cluster}`)} && `;
  return [
    `${where}\n     ${heartbeat}${line(`check ${cluster}`)}\n     ${line(`backup ${cluster}`)} && ${line(`drill ${cluster}`)}`,
    `Then let it run by itself:\n     ${line('schedules apply')}`,
  ];
}

/** Whether a verb that is typed in this folder finds the file by itself. */
const isFoundHere = (configFile: string): boolean => configPlaces.some((place) => resolve(place) === configFile);

function settings({ settings, settingsSql, restart }: Setup): string[] {
  if (settings.length === 0) return [];
  return [`${restart ? 'Settings; PostgreSQL has to be restarted for them:' : 'Settings:'}\n${indent(settingsSql)}`];
}

function lines(heading: string, text: readonly string[]): string[] {
  return text.length === 0 ? [] : [`${heading}\n${indent(text.join('\n'))}`];
}

const indent = (text: string): string =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => `     ${line}`)
    .join('\n');
