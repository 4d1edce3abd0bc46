import type * as grpcTypes from "@grpc/grpc-js";
import { Metadata, status } from "@grpc/grpc-js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import provider from "@pulumi/pulumi/proto/provider_pb.js";
import statusProto from "@pulumi/pulumi/proto/status_pb.js";
import any from "google-protobuf/google/protobuf/any_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { type Handler, type Operation, PartlyDone } from "./handler.ts";
import { providerSchema } from "./schema.ts";
import type { Change, Props } from "./values.ts";

/** Version of the provider that Pulumi records beside its resources. */
export const PROVIDER_VERSION = "0.1.0";

export interface ServerOptions {
  /** By type token, e.g. `openclaw:local:Fleet`. */
  readonly handlers: Readonly<Record<string, Handler>>;
  /** Shows a line beside a resource. */
  readonly say: (urn: string, message: string) => void;
}

type Call<T> = { request: T };
type Callback<T> = (error: Partial<grpcTypes.ServiceError> | null, value?: T) => void;

/** The provider's gRPC methods, over plain handlers. */
export class ProviderServer {
  readonly #options: ServerOptions;
  readonly #abort = new AbortController();
  #working = 0;
  #whenIdle: (() => void)[] = [];
  /** A program registers resources by `check`; `destroy` runs none. */
  #programRuns = false;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Methods for `grpc.Server.addService(ResourceProviderService, …)`. */
  service(): grpcTypes.UntypedServiceImplementation {
    const unary = <Request, Reply>(work: (request: Request) => Reply | Promise<Reply>) =>
      ((call: Call<Request>, callback: Callback<Reply>) => {
        this.#working += 1;
        // A promise from the start: what throws synchronously is answered as well.
        Promise.resolve()
          .then(() => work(call.request))
          .then(
            (reply) => callback(null, reply),
            (error: unknown) => callback(toServiceError(error)),
          )
          .finally(() => this.#oneDone());
      }) as unknown as grpcTypes.UntypedHandleCall;
    return {
      getPluginInfo: unary(() => {
        const info = new plugin.PluginInfo();
        info.setVersion(PROVIDER_VERSION);
        return info;
      }),
      getSchema: unary(() => {
        const reply = new provider.GetSchemaResponse();
        reply.setSchema(JSON.stringify(providerSchema(PROVIDER_VERSION)));
        return reply;
      }),
      checkConfig: unary((request: Req<"CheckRequest">) => {
        const reply = new provider.CheckResponse();
        reply.setInputs(request.getNews());
        return reply;
      }),
      diffConfig: unary(() => new provider.DiffResponse()),
      configure: unary(() => {
        const reply = new provider.ConfigureResponse();
        reply.setAcceptsecrets(true);
        reply.setSupportspreview(true);
        reply.setAcceptoutputs(false);
        reply.setAcceptresources(false);
        return reply;
      }),
      check: unary((request: Req<"CheckRequest">) => this.#check(request)),
      diff: unary((request: Req<"DiffRequest">) => this.#diff(request)),
      create: unary((request: Req<"CreateRequest">) => this.#create(request)),
      read: unary((request: Req<"ReadRequest">) => this.#read(request)),
      update: unary((request: Req<"UpdateRequest">) => this.#update(request)),
      delete: unary((request: Req<"DeleteRequest">) => this.#delete(request)),
      cancel: unary(() => {
        this.cancel();
        return new empty.Empty();
      }),
      attach: unary(() => new empty.Empty()),
    };
  }

  /** Ends every wait; operations answer with what they reached. */
  cancel(): void {
    this.#abort.abort();
  }

  /** Resolves when no call is being worked on. */
  async idle(): Promise<void> {
    if (this.#working > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #oneDone(): void {
    this.#working -= 1;
    if (this.#working > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #handler(urn: string): Handler {
    // urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>
    const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
    const handler = this.#options.handlers[type];
    if (!handler) throw new Error(`${type || urn} is no resource of this provider`);
    return handler;
  }

  #operation(urn: string): Operation {
    return {
      signal: this.#abort.signal,
      say: (message) => this.#options.say(urn, message),
      programRuns: this.#programRuns,
    };
  }

  #check(request: Req<"CheckRequest">) {
    this.#programRuns = true;
    const olds = request.hasOlds() ? toProps(request.getOlds()) : undefined;
    const { inputs, failures } = this.#handler(request.getUrn()).check(
      olds && Object.keys(olds).length > 0 ? olds : undefined,
      toProps(request.getNews()),
    );
    const reply = new provider.CheckResponse();
    reply.setInputs(toStruct(inputs));
    reply.setFailuresList(
      failures.map((failure) => {
        const item = new provider.CheckFailure();
        item.setProperty(failure.property);
        item.setReason(failure.reason);
        return item;
      }),
    );
    return reply;
  }

  #diff(request: Req<"DiffRequest">) {
    const diff = this.#handler(request.getUrn()).diff(
      toProps(request.getOlds()),
      toProps(request.getOldInputs()),
      toProps(request.getNews()),
    );
    const reply = new provider.DiffResponse();
    const { DiffChanges } = provider.DiffResponse;
    reply.setChanges(diff.changes.length > 0 ? DiffChanges.DIFF_SOME : DiffChanges.DIFF_NONE);
    reply.setReplacesList([...diff.replaces]);
    reply.setDiffsList([...new Set(diff.changes.map(({ path }) => topLevel(path)))]);
    reply.setHasdetaileddiff(true);
    for (const change of diff.changes) {
      const item = new provider.PropertyDiff();
      item.setKind(diffKind(change, diff.replaces.includes(change.path)));
      item.setInputdiff(!diff.outputOnly?.includes(change.path));
      reply.getDetaileddiffMap().set(change.path, item);
    }
    return reply;
  }

  async #create(request: Req<"CreateRequest">) {
    const urn = request.getUrn();
    const { id, state } = await this.#handler(urn).create(toProps(request.getProperties()), {
      ...this.#operation(urn),
      preview: request.getPreview(),
    });
    const reply = new provider.CreateResponse();
    reply.setId(request.getPreview() ? "" : id);
    reply.setProperties(toStruct(state));
    return reply;
  }

  async #read(request: Req<"ReadRequest">) {
    const has = (value: Props) => (Object.keys(value).length > 0 ? value : undefined);
    const found = await this.#handler(request.getUrn()).read(
      request.getId(),
      has(toProps(request.getProperties())),
      has(toProps(request.getInputs())),
    );
    const reply = new provider.ReadResponse();
    if (!found) return reply;
    reply.setId(request.getId());
    reply.setProperties(toStruct(found.state));
    reply.setInputs(toStruct(found.inputs));
    return reply;
  }

  async #update(request: Req<"UpdateRequest">) {
    const urn = request.getUrn();
    const state = await this.#handler(urn).update(
      request.getId(),
      toProps(request.getOlds()),
      toProps(request.getNews()),
      { ...this.#operation(urn), preview: request.getPreview() },
    );
    const reply = new provider.UpdateResponse();
    reply.setProperties(toStruct(state));
    return reply;
  }

  async #delete(request: Req<"DeleteRequest">) {
    const urn = request.getUrn();
    const state = toProps(request.getProperties());
    await this.#handler(urn).delete(request.getId(), state, this.#operation(urn));
    return new empty.Empty();
  }
}

type Req<Name extends keyof typeof provider> = InstanceType<
  Extract<(typeof provider)[Name], abstract new (...args: never) => unknown>
>;

function diffKind(change: Change, replace: boolean): number {
  const { Kind } = provider.PropertyDiff;
  if (change.kind === "add") return replace ? Kind.ADD_REPLACE : Kind.ADD;
  if (change.kind === "delete") return replace ? Kind.DELETE_REPLACE : Kind.DELETE;
  return replace ? Kind.UPDATE_REPLACE : Kind.UPDATE;
}

function topLevel(path: string): string {
  return path.split(/[.[]/)[0] ?? path;
}

function toProps(value: { toJavaScript(): object } | undefined): Props {
  return (value?.toJavaScript() ?? {}) as Props;
}

/** Through JSON, which drops what is undefined: a Struct cannot hold it. */
function toStruct(value: Props) {
  return struct.Struct.fromJavaScript(JSON.parse(JSON.stringify(value)));
}

/** A PartlyDone keeps its state in Pulumi; the form is the engine's own for resources half made. */
function toServiceError(error: unknown): Partial<grpcTypes.ServiceError> {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof PartlyDone)) return { code: status.UNKNOWN, details: message };
  const detail = new provider.ErrorResourceInitFailed();
  detail.setId(error.id);
  detail.setProperties(toStruct(error.state));
  detail.setReasonsList([message]);
  const wrapped = new any.Any();
  wrapped.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const full = new statusProto.Status();
  full.setCode(status.UNKNOWN);
  full.setMessage(message);
  full.addDetails(wrapped);
  const metadata = new Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(full.serializeBinary()));
  return { code: status.UNKNOWN, details: message, metadata };
}
