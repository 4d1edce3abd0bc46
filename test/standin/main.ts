import { createRequire } from "node:module";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import rpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { whenParentEnds } from "../../toolchain/parent.ts";
import { StandInServer } from "./server.ts";
import { settingsFrom } from "./settings.ts";
import { WorldStore } from "./store.ts";

/** `main.ts PACKAGE ENGINE_ADDRESS`: serves gRPC on a free port and prints its number. */
const pack = process.argv[2] ?? "";
const settings = settingsFrom(process.env);
const store = new WorldStore(settings.account);
const server = new Server({
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
});
const standIn = new StandInServer(pack, versionOf(pack), settings, store);
server.addService(rpc.ResourceProviderService, standIn.service());
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    console.error(`pulumi-resource-${pack}: ${error.message}`);
    process.exit(1);
  }
  process.stdout.write(`${port}\n`);
});

/** The version that the program's own package asks for. */
function versionOf(name: string): string {
  if (name === "openclaw") return "0.1.0";
  const { version } = createRequire(import.meta.url)(`@pulumi/${name}/package.json`) as {
    version: string;
  };
  return version;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => server.tryShutdown(() => process.exit(0)));
}
// A machine that is lost takes its providers along.
whenParentEnds(() => process.exit(1));
