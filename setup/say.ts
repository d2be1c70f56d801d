/** Progress goes to stderr: stdout belongs to the verb that made setup run. */
export function say(line: string): void {
  console.error(`pgproof: ${line}`);
}

/** Something that a person has to do; setup ends with its exit code and no stack. */
export class SetupError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
