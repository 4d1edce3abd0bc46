import { parseArgs } from "node:util";
import { readNodeConfig } from "../supervisor/config-file.ts";
import { withEnvironment } from "./environment.ts";
import { Node } from "./node.ts";

/** The supervisor of a node, started by its keeper: `node node.js --node-dir DIR`. */
const { values } = parseArgs({ options: { "node-dir": { type: "string" } } });
const nodeDir = values["node-dir"];
if (!nodeDir) {
  process.stderr.write("node: --node-dir is needed; a node is started by its keeper\n");
  process.exit(2);
}

const node = new Node(withEnvironment(readNodeConfig(nodeDir), process.env));
// A shell's Ctrl-C reaches the keeper too, which then asks for the stop over its own channel.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => void node.stopAndExit());
process.on("unhandledRejection", (error) => node.fault("unhandled rejection", error));
process.on("uncaughtException", (error) => node.fault("uncaught exception", error));
try {
  await node.start();
} catch (error) {
  // A port that is taken, certificates that cannot be read: the keeper tries again, later and later.
  node.fault("the node cannot start", error);
  process.exit(1);
}
