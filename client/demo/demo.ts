import { Command } from 'commander';
import { type Answer, type Session, verb } from '../session.ts';
import { keepReports } from './caches.ts';
import { type Played, play } from './play.ts';
import { renderDemo, summary } from './render.ts';
import { setStage } from './stage.ts';

export const demoVerb = (): Command =>
  new Command('demo')
    .description('the main job on a throwaway cluster: backup, WAL, restore drill, report; leaves nothing running')
    .option('--keep', 'leave the cluster, the repository, Temporal and its UI running')
    .action(verb(demo));

async function demo(session: Session): Promise<Answer> {
  const keep = session.options.keep === true;
  const stage = await setStage();
  let kept = false;
  try {
    const played = await play(session, stage, keep);
    if (!keep) await outlive(played);
    kept = keep;
    const shown = summary(played);
    return { json: shown, text: renderDemo(played, stage, keep), exitCode: shown.drill.verdict === 'passed' ? 0 : 3 };
  } finally {
    if (!kept) await stage.clear();
  }
}

async function outlive({ backup, drill }: Played): Promise<void> {
  const [backupFile, drillFile] = (await keepReports([backup.reportFile, drill.reportFile])) as [string, string];
  backup.reportFile = backupFile;
  drill.reportFile = drillFile;
}
