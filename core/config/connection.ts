import * as z from 'zod';
import { absolutePath, port } from './values.ts';

const password = z
  .union([
    z.strictObject({ file: absolutePath.describe('A file that holds the password, mode 0600.') }),
    z.strictObject({
      env: z
        .string()
        .regex(/^[A-Za-z_]\w*$/)
        .describe('An environment variable that holds the password.'),
    }),
  ])
  .describe(
    'Where the password is. Without it: .pgpass, or none (peer, trust, certificates). A plain password is refused.',
  );

/** How this host reaches a server. @param about what its role and its database are for. */
export function connectionTo<Database extends z.ZodType>(about: { whole: string; user: string }, database: Database) {
  return z
    .strictObject({
      socket: absolutePath.optional().describe("Folder of the server's Unix socket."),
      host: z.string().min(1).optional().describe('Host name or address, for a connection by TCP.'),
      port: port.default(5432).describe('Port of the server.'),
      user: z.string().min(1).default('pgproof').describe(about.user),
      database,
      password: password.optional(),
    })
    .refine((value) => (value.socket === undefined) !== (value.host === undefined), 'give either socket or host')
    .describe(about.whole);
}
