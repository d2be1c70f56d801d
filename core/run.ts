/**
 * What every long-running engine function is handed: when to stop, and where to say how far it is. `progress` is a
 * heartbeat under Temporal and a line on the terminal elsewhere; its details are small and plain.
 */
export type Run = {
  signal: AbortSignal;
  progress(details: Progress): void;
};

export type Progress = { phase: string; doneBytes?: number; totalBytes?: number; note?: string };
