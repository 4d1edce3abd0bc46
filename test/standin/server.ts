import { setTimeout as sleep } from "node:timers/promises";
import type * as grpcTypes from "@grpc/grpc-js";
import { Metadata, status } from "@grpc/grpc-js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import provider from "@pulumi/pulumi/proto/provider_pb.js";
import statusProto from "@pulumi/pulumi/proto/status_pb.js";
import any from "google-protobuf/google/protobuf/any_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { type Props, reveal } from "../../plugin/values.ts";
import { type Asked, Cloud } from "./cloud.ts";
import { delayOf, dueFault, type Op } from "./faults.ts";
import { instanceChange, tell } from "./machines.ts";
import { forgetsUnreachable, providerReplaces, scopeOf } from "./provider.ts";
import { INSTANCE } from "./rules/compute.ts";
import { Refusal } from "./rules/types.ts";
import type { StandInSettings } from "./settings.ts";
import type { WorldStore } from "./store.ts";
import { type Scope, World } from "./world.ts";

type Req<Name extends keyof typeof provider> = InstanceType<
  Extract<(typeof provider)[Name], abstract new (...args: never) => unknown>
>;

/** Made, but the engine is told that it is not ready: it keeps id and state, and tries again next time. */
class Begun extends Error {
  readonly id: string;
  readonly state: Props;
  constructor(id: string, state: Props, message: string) {
    super(message);
    this.id = id;
    this.state = state;
  }
}

/** What is slow takes so many times the longest of other delays: longer than a busy machine takes for what comes before. */
const SLOW_TIMES = 200;
/** Longest that something waits for another to be tried, ms: a stack's whole creation on a busy machine. */
const UNTIL_MS = 600_000;

/** The gRPC methods of one provider (aws, kubernetes, random, openclaw) over the account. */
export class StandInServer {
  readonly #pack: string;
  readonly #version: string;
  readonly #settings: StandInSettings;
  readonly #store: WorldStore;
  #config: Props = {};
  #scope: Scope | null = null;

  constructor(pack: string, version: string, settings: StandInSettings, store: WorldStore) {
    this.#pack = pack;
    this.#version = version;
    this.#settings = settings;
    this.#store = store;
  }

  service(): grpcTypes.UntypedServiceImplementation {
    const unary = <Request, Reply>(work: (request: Request) => Reply | Promise<Reply>) =>
      ((
        call: { request: Request },
        callback: (error: Partial<grpcTypes.ServiceError> | null, reply?: Reply) => void,
      ) => {
        Promise.resolve()
          .then(() => work(call.request))
          .then(
            (reply) => callback(null, reply),
            (error: unknown) => callback(serviceError(error)),
          );
      }) as unknown as grpcTypes.UntypedHandleCall;
    return {
      getPluginInfo: unary(() => {
        const info = new plugin.PluginInfo();
        info.setVersion(this.#version);
        return info;
      }),
      checkConfig: unary((request: Req<"CheckRequest">) => {
        const reply = new provider.CheckResponse();
        reply.setInputs(request.getNews());
        return reply;
      }),
      diffConfig: unary((request: Req<"DiffRequest">) => this.#diffConfig(request)),
      configure: unary((request: Req<"ConfigureRequest">) => {
        this.#config = props(request.getArgs());
        this.#scope = scopeOf(this.#pack, this.#config, this.#settings);
        const reply = new provider.ConfigureResponse();
        reply.setSupportspreview(true);
        return reply;
      }),
      check: unary((request: Req<"CheckRequest">) => this.#check(request)),
      diff: unary((request: Req<"DiffRequest">) => this.#diff(request)),
      create: unary((request: Req<"CreateRequest">) => this.#create(request)),
      read: unary((request: Req<"ReadRequest">) => this.#read(request)),
      update: unary((request: Req<"UpdateRequest">) => this.#update(request)),
      delete: unary((request: Req<"DeleteRequest">) => this.#delete(request)),
      invoke: unary((request: Req<"InvokeRequest">) => {
        const args = props(request.getArgs());
        const answer = this.#work((cloud) => cloud.invoke(request.getTok(), args, this.#where()));
        const reply = new provider.InvokeResponse();
        reply.setReturn(toStruct(answer));
        return reply;
      }),
      cancel: unary(() => new empty.Empty()),
      attach: unary(() => new empty.Empty()),
    };
  }

  #where(): Scope {
    this.#scope ??= scopeOf(this.#pack, this.#config, this.#settings);
    return this.#scope;
  }

  #asked(urn: string): Asked {
    return { type: urn.split("::")[2]?.split("$").at(-1) ?? "", urn, scope: this.#where() };
  }

  #work<T>(work: (cloud: Cloud, world: World) => T): T {
    return this.#store.work((world) => work(new Cloud(world, this.#settings.ghosts), world));
  }

  #diffConfig(request: Req<"DiffRequest">) {
    const [old, next] = [props(request.getOldInputs()), props(request.getNews())];
    const replaces = providerReplaces(this.#pack, old, next);
    const reply = new provider.DiffResponse();
    const same = JSON.stringify(old) === JSON.stringify(next);
    const { DiffChanges } = provider.DiffResponse;
    reply.setChanges(same ? DiffChanges.DIFF_NONE : DiffChanges.DIFF_SOME);
    reply.setReplacesList(replaces);
    return reply;
  }

  #check(request: Req<"CheckRequest">) {
    const seed = Buffer.from(request.getRandomseed_asU8()).toString("hex");
    const olds = request.hasOlds() ? props(request.getOlds()) : undefined;
    const cloud = new Cloud(EMPTY);
    const { inputs, failures } = cloud.check(
      this.#asked(request.getUrn()),
      olds,
      props(request.getNews()),
      seed || "0000000",
    );
    const reply = new provider.CheckResponse();
    reply.setInputs(toStruct(inputs));
    reply.setFailuresList(
      failures.map(({ property, reason }) => {
        const item = new provider.CheckFailure();
        item.setProperty(property);
        item.setReason(reason);
        return item;
      }),
    );
    return reply;
  }

  #diff(request: Req<"DiffRequest">) {
    const { type } = this.#asked(request.getUrn());
    const diff = new Cloud(EMPTY).diff(
      type,
      props(request.getOldInputs()),
      props(request.getNews()),
    );
    const reply = new provider.DiffResponse();
    const { DiffChanges } = provider.DiffResponse;
    reply.setChanges(diff.changes.length > 0 ? DiffChanges.DIFF_SOME : DiffChanges.DIFF_NONE);
    reply.setReplacesList([...new Set(diff.replaces.map(topLevel))]);
    reply.setDiffsList([...new Set(diff.changes.map(({ path }) => topLevel(path)))]);
    reply.setDeletebeforereplace(diff.deleteBeforeReplace);
    reply.setHasdetaileddiff(true);
    const { Kind } = provider.PropertyDiff;
    for (const { path, kind } of diff.changes) {
      const replace = diff.replaces.includes(path);
      const item = new provider.PropertyDiff();
      const kinds = {
        add: [Kind.ADD, Kind.ADD_REPLACE],
        delete: [Kind.DELETE, Kind.DELETE_REPLACE],
        update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
      }[kind] as [number, number];
      item.setKind(kinds[replace ? 1 : 0]);
      item.setInputdiff(true);
      reply.getDetaileddiffMap().set(path, item);
    }
    return reply;
  }

  async #create(request: Req<"CreateRequest">) {
    const asked = this.#asked(request.getUrn());
    const inputs = props(request.getProperties());
    const reply = new provider.CreateResponse();
    if (request.getPreview()) {
      reply.setProperties(toStruct(new Cloud(EMPTY).preview(asked, inputs)));
      return reply;
    }
    const made = await this.#act("create", asked, (cloud) => cloud.create(asked, inputs));
    reply.setId(made.id);
    reply.setProperties(toStruct(made.state));
    return reply;
  }

  #read(request: Req<"ReadRequest">) {
    const asked = this.#asked(request.getUrn());
    const reply = new provider.ReadResponse();
    const found = this.#work((cloud) => cloud.read(asked, request.getId()));
    if (!found) return reply;
    reply.setId(found.id);
    reply.setProperties(toStruct(found.state));
    reply.setInputs(toStruct(found.inputs));
    return reply;
  }

  async #update(request: Req<"UpdateRequest">) {
    const asked = this.#asked(request.getUrn());
    const news = props(request.getNews());
    const reply = new provider.UpdateResponse();
    if (request.getPreview()) {
      const state = new Cloud(EMPTY).preview(asked, news, props(request.getOlds()));
      reply.setProperties(toStruct(state));
      return reply;
    }
    const id = request.getId();
    const { state } = await this.#act("update", asked, (cloud) => ({
      id,
      state: cloud.update(asked, id, news),
    }));
    reply.setProperties(toStruct(state));
    return reply;
  }

  async #delete(request: Req<"DeleteRequest">) {
    const asked = this.#asked(request.getUrn());
    const id = request.getId();
    try {
      await this.#act("delete", asked, (cloud) => {
        cloud.delete(asked, id);
        return { id, state: {} };
      });
    } catch (error) {
      const unreachable = error instanceof Refusal && error.message.includes("unreachable");
      if (!unreachable || !forgetsUnreachable(this.#config)) throw error;
    }
    return new empty.Empty();
  }

  /** One change: after its delay, alone, noted, with the fault that is due. */
  async #act(
    op: Op,
    asked: Asked,
    work: (cloud: Cloud) => { id: string; state: Props },
  ): Promise<{ id: string; state: Props }> {
    const { seed, delayMs, slow, slowUntil } = this.#settings;
    const isNamed = slow.some((end) => asked.urn.endsWith(end));
    if (isNamed && slowUntil !== null) await this.#tried(slowUntil);
    const isSlow = isNamed && slowUntil === null;
    // AWS does it somewhere on the way: whoever is cut off before the answer does not know it.
    const halfMs = (isSlow ? SLOW_TIMES * delayMs : delayOf(seed, op, asked.urn, delayMs)) / 2;
    await sleep(halfMs);
    try {
      const done = this.#alone(op, asked, work);
      await this.#tell(op, asked, done);
      return done;
    } finally {
      await sleep(halfMs);
    }
  }

  /** Once a change of what ends so was tried, whatever came of it. */
  async #tried(end: string): Promise<void> {
    const late = performance.now() + UNTIL_MS;
    const isTried = () => this.#work((_, { log }) => log.some(({ urn }) => urn.endsWith(end)));
    while (!isTried() && performance.now() < late) await sleep(200);
  }

  async #tell(op: Op, { type, urn }: Asked, done: { id: string; state: Props }): Promise<void> {
    const { machines } = this.#settings;
    if (machines === null || type !== INSTANCE) return;
    const change = this.#work((_, world) => instanceChange(op, { urn, ...done }, world));
    if (change) await tell(machines, change);
  }

  #alone(
    op: Op,
    asked: Asked,
    work: (cloud: Cloud) => { id: string; state: Props },
  ): { id: string; state: Props } {
    const { seed, fault } = this.#settings;
    return this.#work((cloud, world) => {
      const due = dueFault(fault, { op, urn: asked.urn, seed }, world);
      const note = (outcome: string) =>
        world.note({ op, type: asked.type, urn: asked.urn, outcome });
      if (due === "refused") {
        note("fault: refused");
        throw new Refusal("RequestLimitExceeded: a fault of the test");
      }
      try {
        const done = work(cloud);
        note(due ? `fault: ${due}` : "done");
        if (due && op === "create")
          throw new Begun(
            done.id,
            done.state,
            `timeout while waiting: a fault of the test (${due})`,
          );
        if (due) throw new Error("connection reset: a fault of the test");
        return done;
      } catch (error) {
        if (error instanceof Refusal) note(`refused: ${error.message}`);
        throw error;
      }
    });
  }
}

/** Checks, comparisons and previews look at no account. */
const EMPTY = new World();

function topLevel(path: string): string {
  return path.split(/[.[]/)[0] ?? path;
}

/** Secrets come in the clear: the engine marks what comes of them, as it does for the real provider. */
function props(value: { toJavaScript(): object } | undefined): Props {
  return reveal<Props>(value?.toJavaScript() ?? {});
}

function toStruct(value: Props) {
  return struct.Struct.fromJavaScript(JSON.parse(JSON.stringify(value)));
}

function serviceError(error: unknown): Partial<grpcTypes.ServiceError> {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Begun)) return { code: status.UNKNOWN, details: message };
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
