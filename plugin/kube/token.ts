import { execFile } from "node:child_process";
import { z } from "zod";

/** A command that prints an ExecCredential of Kubernetes, as in a kubeconfig. */
export const tokenCommand = z.strictObject({
  command: z.string().min(1),
  args: z.array(z.string()),
});
export type TokenCommand = z.infer<typeof tokenCommand>;

const execCredential = z.object({
  status: z.object({ token: z.string().min(1), expirationTimestamp: z.string().optional() }),
});

/** What the command is told of whom it serves. */
const EXEC_INFO = JSON.stringify({
  apiVersion: "client.authentication.k8s.io/v1beta1",
  kind: "ExecCredential",
  spec: { interactive: false },
});

const DEADLINE_MS = 30_000;
/** A token this close to its end is not used any more. */
const SPARE_MS = 60_000;

/** Tokens of a command, each used until shortly before it expires. Never logged, never stored. */
export class Tokens {
  readonly #command: TokenCommand;
  #held: { token: string; until: number } | null = null;

  constructor(command: TokenCommand) {
    this.#command = command;
  }

  /** `fresh` leaves out what is held: the API refused it. */
  async get(signal: AbortSignal, fresh = false): Promise<string> {
    if (!fresh && this.#held && Date.now() < this.#held.until) return this.#held.token;
    const { command } = this.#command;
    const printed = await this.#run(signal);
    let status: z.infer<typeof execCredential>["status"];
    try {
      status = execCredential.parse(JSON.parse(printed)).status;
    } catch {
      throw new Error(`${command} printed no Kubernetes ExecCredential with a token in it`);
    }
    const expires = status.expirationTimestamp ? Date.parse(status.expirationTimestamp) : 0;
    this.#held = { token: status.token, until: expires - SPARE_MS };
    return status.token;
  }

  #run(signal: AbortSignal): Promise<string> {
    const { command, args } = this.#command;
    return new Promise((resolve, reject) => {
      const env = { ...process.env, KUBERNETES_EXEC_INFO: EXEC_INFO };
      const options = { env, signal, timeout: DEADLINE_MS, maxBuffer: 2 ** 20 };
      const child = execFile(command, args, options, (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        if (error.code === "ENOENT") {
          return reject(
            new Error(`${command} was not found, and it gets the cluster's tokens. Install it`),
          );
        }
        const said = stderr.trim().split("\n").slice(-3).join(" ");
        const why = error.killed ? `took longer than ${DEADLINE_MS / 1000} s` : `failed: ${said}`;
        reject(new Error(`${command} ${args.join(" ")} ${why}`));
      });
      // A command that reads would wait for somebody who is not there.
      child.stdin?.end();
    });
  }
}
