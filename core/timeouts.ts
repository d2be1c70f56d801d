/** Seconds, all of them. `resolve` hands them to a workflow, so that they are fixed in its history. */
export type Timeouts = { quick: QuickTimeouts; bulk: BulkTimeouts };

export type QuickTimeouts = {
  /** How long `hello` may lie on the queue of a host before its worker counts as absent. */
  hello: number;
  startToClose: number;
  /** All attempts and the waits between them. */
  scheduleToClose: number;
  firstRetry: number;
};

export type BulkTimeouts = {
  /** Waiting for one of the host's few slots. */
  scheduleToStart: number;
  /** One attempt, where its size is not known: a restore of many terabytes takes days. A step that stands still ends by itself. */
  startToClose: number;
  /** One attempt of a known size: this long, and as many seconds as the bytes take at the slowest rate that is still work. */
  sized: { atLeast: number; bytesPerSecond: number };
  /** Silence after which an attempt counts as lost. Long: a Temporal upgrade of some minutes must not cancel a ten-hour backup. */
  heartbeat: number;
  attempts: number;
  firstRetry: number;
  /** A busy cluster: between two tries (the first wait, doubled up to the longest), and until it is given up. */
  busy: { firstRetry: number; longestRetry: number; deadline: number };
};

/** Seconds that an attempt of so many bytes may take. */
export function attemptSeconds({ startToClose, sized }: BulkTimeouts, bytes: number | null): number {
  return bytes === null ? startToClose : sized.atLeast + Math.ceil(bytes / sized.bytesPerSecond);
}

export const timeouts: Timeouts = {
  quick: { hello: 8, startToClose: 300, scheduleToClose: 900, firstRetry: 2 },
  bulk: {
    scheduleToStart: 86_400,
    startToClose: 1_209_600,
    sized: { atLeast: 7200, bytesPerSecond: 2_000_000 },
    heartbeat: 900,
    attempts: 3,
    firstRetry: 30,
    busy: { firstRetry: 15, longestRetry: 300, deadline: 43_200 },
  },
};
