import { whenParentEnds } from "../parent.ts";
import { createServer } from "./server.ts";

/**
 * The Node language host: Pulumi starts it with its own gRPC address, reads the host's port from the
 * first line of stdout, and talks gRPC to it.
 */
const engine = process.argv.slice(2).find((arg) => !arg.startsWith("-")) ?? "";
const port = await createServer(engine).listen();
process.stdout.write(`${port}\n`);

// The engine ends a plugin by SIGINT to its process group (a group of its own, so Ctrl-C at the
// terminal does not come here) and kills it only 5 s later: leave at once.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(0));
// An engine that is killed ends nothing.
whenParentEnds(() => process.exit(0));
