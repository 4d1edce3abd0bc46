import { credentials, Server, ServerCredentials, type ServiceError } from "@grpc/grpc-js";
import rpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import pb from "@pulumi/pulumi/proto/provider_pb.js";
import status from "@pulumi/pulumi/proto/status_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Handler, Interrupted, PartlyDone } from "../../plugin/handler.ts";
import { ProviderServer } from "../../plugin/server.ts";
import { type Props, secret } from "../../plugin/values.ts";

const URN = "urn:pulumi:dev::openclaw-fleet::openclaw:local:Thing::it";
const toStruct = (value: Props) => struct.Struct.fromJavaScript(value as Record<string, never>);

let handler: Handler;
let server: Server;
let client: InstanceType<typeof rpc.ResourceProviderClient>;
let seenSignal: AbortSignal | undefined;

beforeEach(async () => {
  handler = {
    check: (olds, news) => ({
      inputs: { ...news, seenOld: olds !== undefined },
      failures: news.bad ? [{ property: "bad", reason: "it is bad" }] : [],
    }),
    diff: () => ({
      changes: [
        { path: "a.b", kind: "update" },
        { path: "c", kind: "add" },
        { path: "state", kind: "update" },
      ],
      replaces: ["c"],
      outputOnly: ["state"],
    }),
    create: async (inputs) => ({ id: "1", state: { ...inputs, token: secret("t") } }),
    read: async () => null,
    update: async (_id, _state, news) => news,
    delete: async (_id, _state, op) => {
      seenSignal = op.signal;
      await new Promise((resolve) => op.signal.addEventListener("abort", resolve));
      throw new Interrupted("deleting");
    },
  };
  const provider = new ProviderServer({
    handlers: { "openclaw:local:Thing": handler },
    say: () => {},
  });
  server = new Server();
  server.addService(rpc.ResourceProviderService, provider.service());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  client = new rpc.ResourceProviderClient(`127.0.0.1:${port}`, credentials.createInsecure());
});
afterEach(() => {
  client.close();
  server.forceShutdown();
});

/** One call, as a promise. */
function call<Reply>(make: (done: (error: ServiceError | null, reply: Reply) => void) => unknown) {
  return new Promise<Reply>((resolve, reject) => {
    make((error, reply) => (error ? reject(error) : resolve(reply)));
  });
}

function createRequest(props: Props) {
  const request = new pb.CreateRequest();
  request.setUrn(URN);
  request.setProperties(toStruct(props));
  return request;
}

test("it takes secrets and previews", async () => {
  const reply = await call<InstanceType<typeof pb.ConfigureResponse>>((done) =>
    client.configure(new pb.ConfigureRequest(), done),
  );
  expect([reply.getAcceptsecrets(), reply.getSupportspreview()]).toEqual([true, true]);
});

test("its schema names the resources", async () => {
  const reply = await call<InstanceType<typeof pb.GetSchemaResponse>>((done) =>
    client.getSchema(new pb.GetSchemaRequest(), done),
  );
  expect(Object.keys(JSON.parse(reply.getSchema()).resources)).toEqual([
    "openclaw:host:Artifact",
    "openclaw:host:Credentials",
    "openclaw:host:Drained",
    "openclaw:host:Fleet",
    "openclaw:host:Release",
    "openclaw:kube:Gone",
    "openclaw:local:Fleet",
    "openclaw:local:Node",
  ]);
});

test.each([
  [{ x: 1 }, []],
  [{ bad: true }, [{ property: "bad", reason: "it is bad" }]],
])("check of %j", async (news, failures) => {
  const request = new pb.CheckRequest();
  request.setUrn(URN);
  request.setNews(toStruct(news));
  const reply = await call<InstanceType<typeof pb.CheckResponse>>((done) =>
    client.check(request, done),
  );
  expect(reply.toObject().failuresList).toEqual(failures);
  expect(reply.getInputs()?.toJavaScript()).toMatchObject({ ...news, seenOld: false });
});

test("a diff tells every path, its kind, and what needs a new resource", async () => {
  const request = new pb.DiffRequest();
  request.setUrn(URN);
  const reply = await call<InstanceType<typeof pb.DiffResponse>>((done) =>
    client.diff(request, done),
  );
  const { Kind } = pb.PropertyDiff;
  const detail = (path: string) => reply.getDetaileddiffMap().get(path)?.toObject();
  expect(reply.getChanges()).toBe(pb.DiffResponse.DiffChanges.DIFF_SOME);
  expect(reply.getReplacesList()).toEqual(["c"]);
  expect(reply.getDiffsList()).toEqual(["a", "c", "state"]);
  expect(detail("a.b")).toEqual({ kind: Kind.UPDATE, inputdiff: true });
  expect(detail("c")).toEqual({ kind: Kind.ADD_REPLACE, inputdiff: true });
  expect(detail("state")).toEqual({ kind: Kind.UPDATE, inputdiff: false });
});

test("secrets stay marked on their way out", async () => {
  const reply = await call<InstanceType<typeof pb.CreateResponse>>((done) =>
    client.create(createRequest({ key: secret("k") }), done),
  );
  expect(reply.getProperties()?.toJavaScript()).toEqual({ key: secret("k"), token: secret("t") });
});

test("what is gone comes back without an id", async () => {
  const request = new pb.ReadRequest();
  request.setUrn(URN);
  request.setId("1");
  const reply = await call<InstanceType<typeof pb.ReadResponse>>((done) =>
    client.read(request, done),
  );
  expect(reply.getId()).toBe("");
});

test("something half made keeps its id and state", async () => {
  handler.create = async () => {
    throw new PartlyDone("7", { state: "incomplete" }, "it does not serve");
  };
  const error = await call((done) => client.create(createRequest({}), done)).catch(
    (e: ServiceError) => e,
  );
  const [bytes] = (error as ServiceError).metadata.get("grpc-status-details-bin");
  const [any] = status.Status.deserializeBinary(bytes as Buffer).getDetailsList();
  const detail = pb.ErrorResourceInitFailed.deserializeBinary(any?.getValue_asU8() as Uint8Array);
  expect(detail.getId()).toBe("7");
  expect(detail.getReasonsList()).toEqual(["it does not serve"]);
  expect(detail.getProperties()?.toJavaScript()).toEqual({ state: "incomplete" });
});

test("cancel ends what is under way", async () => {
  const request = new pb.DeleteRequest();
  request.setUrn(URN);
  const outcome = expect(call((done) => client.delete(request, done))).rejects.toThrow(
    /interrupted while deleting/,
  );
  await expect.poll(() => seenSignal, { timeout: 20_000 }).toBeDefined();
  await call((done) => client.cancel(new empty.Empty(), done));
  await outcome;
});

test("an unknown type is refused by name", async () => {
  const request = createRequest({});
  request.setUrn("urn:pulumi:dev::p::openclaw:local:Nothing::it");
  await expect(call((done) => client.create(request, done))).rejects.toThrow(
    /openclaw:local:Nothing is no resource of this provider/,
  );
});
