import { randomUUID } from "node:crypto";
import { Server, ServerCredentials, type UntypedHandleCall } from "@grpc/grpc-js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import rpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import provider from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import type struct from "google-protobuf/google/protobuf/struct_pb.js";

/**
 * A provider that takes whatever it is given and makes nothing: whoever is to say no in these tests is
 * a policy, and no cloud before it.
 */
const unary = <Request, Reply>(answer: (request: Request) => Reply) =>
  ((call: { request: Request }, callback: (error: null, reply: Reply) => void) =>
    callback(null, answer(call.request))) as unknown as UntypedHandleCall;

interface Given {
  getNews(): struct.Struct | undefined;
  getProperties(): struct.Struct | undefined;
}

const check = unary((request: Given) => {
  const reply = new provider.CheckResponse();
  reply.setInputs(request.getNews());
  return reply;
});
const same = unary(() => {
  const reply = new provider.DiffResponse();
  reply.setChanges(provider.DiffResponse.DiffChanges.DIFF_NONE);
  return reply;
});

const server = new Server({ "grpc.max_receive_message_length": -1 });
server.addService(rpc.ResourceProviderService, {
  getPluginInfo: unary(() => {
    const info = new plugin.PluginInfo();
    info.setVersion("0.0.1");
    return info;
  }),
  checkConfig: check,
  diffConfig: same,
  configure: unary(() => {
    const reply = new provider.ConfigureResponse();
    reply.setAcceptsecrets(true);
    reply.setSupportspreview(true);
    return reply;
  }),
  check,
  diff: same,
  create: unary((request: Given) => {
    const reply = new provider.CreateResponse();
    reply.setId(randomUUID());
    reply.setProperties(request.getProperties());
    return reply;
  }),
  delete: unary(() => new empty.Empty()),
  cancel: unary(() => new empty.Empty()),
});
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${port}\n`);
});
process.on("SIGINT", () => server.tryShutdown(() => process.exit(0)));
