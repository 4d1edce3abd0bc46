import { credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import engineRpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engine from "@pulumi/pulumi/proto/engine_pb.js";
import rpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { whenParentEnds } from "../toolchain/parent.ts";
import { FleetHandler } from "./fleet.ts";
import { ArtifactHandler } from "./host/artifact.ts";
import { CredentialsHandler } from "./host/credentials.ts";
import { DrainedHandler } from "./host/drained.ts";
import { FleetReadyHandler } from "./host/fleet-ready.ts";
import { ReleaseHandler } from "./host/release.ts";
import { openSsh } from "./host/ssh.ts";
import { GoneHandler } from "./kube/gone.ts";
import { localLauncher } from "./local-launcher.ts";
import { NodeHandler } from "./node.ts";
import { ProviderServer } from "./server.ts";

/** `pulumi-resource-openclaw ENGINE_ADDRESS`: serves gRPC on a free port and prints its number. */

const launcher = localLauncher();
const provider = new ProviderServer({
  handlers: {
    "openclaw:host:Artifact": new ArtifactHandler({ open: openSsh }),
    "openclaw:host:Credentials": new CredentialsHandler(),
    "openclaw:host:Drained": new DrainedHandler({ open: openSsh }),
    "openclaw:host:Fleet": new FleetReadyHandler({ open: openSsh }),
    "openclaw:host:Release": new ReleaseHandler({ open: openSsh }),
    "openclaw:kube:Gone": new GoneHandler(),
    "openclaw:local:Fleet": new FleetHandler(launcher),
    "openclaw:local:Node": new NodeHandler(launcher),
  },
  say: engineVoice(process.argv.slice(2).find((argument) => /:\d+$/.test(argument))),
});

const server = new Server({
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
});
server.addService(rpc.ResourceProviderService, provider.service());
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    console.error(`pulumi-resource-openclaw: ${error.message}`);
    process.exit(1);
  }
  process.stdout.write(`${port}\n`);
});

/** Ends every wait; what is under way answers first. */
function end(): void {
  provider.cancel();
  void provider.idle().then(() => {
    server.tryShutdown(() => process.exit(0));
    // Connections that stay open must not keep a finished provider.
    setTimeout(() => process.exit(0), 500);
  });
}

// How the engine ends a provider, and what Ctrl-C may send.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, end);
// Nobody hears the answers of a provider whose engine was killed.
whenParentEnds(end);

/** Shows lines beside the resource while it is worked on. */
function engineVoice(address: string | undefined): (urn: string, message: string) => void {
  if (!address) return () => {};
  const client = new engineRpc.EngineClient(address, credentials.createInsecure());
  const last = new Map<string, string>();
  return (urn, message) => {
    if (last.get(urn) === message) return;
    last.set(urn, message);
    const request = new engine.LogRequest();
    request.setSeverity(engine.LogSeverity.INFO);
    request.setUrn(urn);
    request.setMessage(message);
    request.setEphemeral(true);
    // A line that cannot be shown is no reason to fail.
    client.log(request, () => {});
  };
}
