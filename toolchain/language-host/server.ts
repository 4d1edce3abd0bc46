import { createRequire } from "node:module";
import * as grpc from "@grpc/grpc-js";
import type {
  AboutResponse,
  DependencyInfo,
  GetProgramDependenciesRequest,
  InstallDependenciesResponse,
  RunPluginRequest,
  RunRequest,
} from "@pulumi/pulumi/proto/language_pb.js";
import { listDependencies } from "./dependencies.ts";
import { runPlugin, runProgram } from "./programs.ts";

const require = createRequire(import.meta.url);
const messages =
  require("@pulumi/pulumi/proto/language_pb.js") as typeof import("@pulumi/pulumi/proto/language_pb.js");
const plugins =
  require("@pulumi/pulumi/proto/plugin_pb.js") as typeof import("@pulumi/pulumi/proto/plugin_pb.js");
const { LanguageRuntimeService } = require("@pulumi/pulumi/proto/language_grpc_pb.js") as {
  LanguageRuntimeService: grpc.ServiceDefinition;
};
const empty = require("google-protobuf/google/protobuf/empty_pb.js") as {
  Empty: new () => object;
};
const sdk = require("@pulumi/pulumi/package.json") as { version: string };

type Unary<Request, Response> = (request: Request) => Response | Promise<Response>;

/** Wraps a function as a gRPC method; what it throws becomes the status that the engine shows. */
function unary<Request, Response>(
  answer: Unary<Request, Response>,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => answer(call.request))
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback({ code: grpc.status.UNKNOWN, details: words(error) }),
      );
  };
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Serves Pulumi's LanguageRuntime for Node programs written for this project: dependencies are
 * installed already, providers are named in Pulumi.yaml, so nothing is discovered or generated here.
 * @param engineAddress gRPC address of the engine that started the host
 */
export function createServer(engineAddress: string): { listen(): Promise<number>; close(): void } {
  let engine = engineAddress;
  const server = new grpc.Server({ "grpc.max_receive_message_length": 400 * 2 ** 20 });

  server.addService(LanguageRuntimeService, {
    handshake: unary((request: InstanceType<typeof messages.LanguageHandshakeRequest>) => {
      engine = request.getEngineAddress() || engine;
      return new messages.LanguageHandshakeResponse();
    }),
    getPluginInfo: unary(() => {
      const info = new plugins.PluginInfo();
      info.setVersion(sdk.version);
      return info;
    }),
    getRequiredPackages: unary(() => new messages.GetRequiredPackagesResponse()),
    getRequiredPlugins: unary(() => new messages.GetRequiredPluginsResponse()),
    installDependencies: (
      call: grpc.ServerWritableStream<unknown, InstallDependenciesResponse>,
    ): void => {
      call.end();
    },
    runtimeOptionsPrompts: unary(() => new messages.RuntimeOptionsResponse()),
    about: unary((): AboutResponse => {
      const response = new messages.AboutResponse();
      response.setExecutable(process.execPath);
      response.setVersion(process.version);
      return response;
    }),
    getProgramDependencies: unary((request: GetProgramDependenciesRequest) => {
      const response = new messages.GetProgramDependenciesResponse();
      const root = request.getInfo()?.getRootDirectory() || request.getPwd();
      response.setDependenciesList(
        listDependencies(root).map(({ name, version }): DependencyInfo => {
          const info = new messages.DependencyInfo();
          info.setName(name);
          info.setVersion(version);
          return info;
        }),
      );
      return response;
    }),
    run: unary(async (request: RunRequest) => {
      const response = new messages.RunResponse();
      const { error, bail } = await runProgram(request, engine);
      response.setError(error);
      response.setBail(bail);
      return response;
    }),
    runPlugin: (
      call: grpc.ServerWritableStream<
        RunPluginRequest,
        InstanceType<typeof messages.RunPluginResponse>
      >,
    ): void => {
      const send = (fill: (part: InstanceType<typeof messages.RunPluginResponse>) => void) => {
        const part = new messages.RunPluginResponse();
        fill(part);
        call.write(part);
      };
      const running = runPlugin(call.request, {
        onStdout: (chunk) => send((part) => part.setStdout(chunk)),
        onStderr: (chunk) => send((part) => part.setStderr(chunk)),
      });
      call.on("cancelled", () => running.kill());
      running.ended.then(
        (code) => {
          send((part) => part.setExitcode(code));
          call.end();
        },
        (error: unknown) =>
          call.destroy(
            Object.assign(new Error(words(error)), { code: grpc.status.INVALID_ARGUMENT }),
          ),
      );
    },
    cancel: unary(() => new empty.Empty()),
  });

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
          error ? reject(error) : resolve(port),
        );
      }),
    close: () => server.forceShutdown(),
  };
}
