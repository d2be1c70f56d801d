import { open } from 'node:fs/promises';
import { type Lsn, parseLsn } from '../core/lsn.ts';
import type { Reached } from './record.ts';

/** What the log of a recovering server says, read as it grows. PostgreSQL's words, by lc_messages=C; the same in 15 and 18. */
export class RecoveryLog {
  readonly #path: string;
  #offset: number;
  #rest = '';
  /** Segments that restore_command has delivered. */
  restored = 0;
  stopReason: string | null = null;
  lastCommitAt: string | null = null;
  lastRecordAt: Lsn | null = null;
  /** Ready for sessions: `standby` for queries in recovery, `primary` after its end. */
  ready: 'standby' | 'primary' | null = null;
  paused = false;
  /** Recovery waits for a person, in front of something that it cannot replay. */
  stuck: string | null = null;
  /** The last FATAL or PANIC. */
  fatal: string | null = null;
  /** For a report of what went wrong. */
  lastLines: string[] = [];

  /** @param offset bytes of the file that belong to earlier starts. */
  constructor(path: string, offset: number) {
    this.#path = path;
    this.#offset = offset;
  }

  /** Takes in what was written since the last call. */
  async read(): Promise<void> {
    const file = await open(this.#path, 'r');
    try {
      for (;;) {
        const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(256 * 1024), position: this.#offset });
        if (bytesRead === 0) return;
        this.#offset += bytesRead;
        const lines = (this.#rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
        this.#rest = lines.pop() as string;
        for (const line of lines) this.#take(Buffer.from(line, 'latin1').toString('utf8'));
      }
    } finally {
      await file.close();
    }
  }

  get reached(): Reached {
    return { lsn: this.lastRecordAt, lastCommitAt: this.lastCommitAt, reason: this.stopReason };
  }

  #take(line: string): void {
    this.lastLines = [...this.lastLines.slice(-14), line];
    const message = /(LOG|FATAL|PANIC): {2}(.*)$/.exec(line);
    if (message === null) return;
    const [, severity, text] = message as unknown as [string, string, string];
    if (severity !== 'LOG') this.fatal = text;
    else if (text.startsWith('restored log file')) this.restored += 1;
    else if (/^recovery stopping (before|after|at) /.test(text)) this.stopReason = text;
    else if (text === 'recovery has paused')
      this.stuck = this.lastLines.find((each) => each.includes('WARNING: ')) ?? text;
    else if (text === 'pausing at the end of recovery') this.paused = true;
    else if (text === 'database system is ready to accept connections') this.ready = 'primary';
    else if (/^database system is ready to accept read-?\s?only connections$/.test(text)) this.ready = 'standby';
    else this.#takeEnd(text);
  }

  #takeEnd(text: string): void {
    const redo = /^redo done at ([0-9A-F]+\/[0-9A-F]+)/.exec(text);
    if (redo !== null) this.lastRecordAt = parseLsn(redo[1] as string);
    const commit = /^last completed transaction was at log time (\S+) (\S+)\+00$/.exec(text);
    if (commit !== null) this.lastCommitAt = `${commit[1]}T${commit[2]}Z`;
  }
}
