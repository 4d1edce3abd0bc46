import type { Clock } from "../clock.ts";
import type { FleetMetrics } from "../observe/metrics.ts";
import type { SessionStore } from "../sessions/store.ts";
import type { FleetTls } from "./fleet-tls.ts";
import type { FleetControl, FleetView } from "./view.ts";

/** The part of a pino logger that is used here. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What a router is made of; everything comes from outside. */
export interface RouterDeps {
  view: FleetView;
  control: FleetControl;
  sessions: SessionStore;
  clock: Clock;
  log: Log;
  metrics: FleetMetrics;
  /** Revision of the fleet's settings that this node was brought to; null before the first. @default null */
  followed?: () => string | null;
  /** Where people connect. Port 0 lets the kernel choose (tests). */
  listen: { host: string; port: number };
  /**
   * Where peers connect. Port 0 lets the kernel choose. `address` is what they dial, where that is
   * not the address it listens on.
   */
  peer: { host: string; port: number; address?: string | undefined };
  /** Certificates for peers and fronts; without them peers talk plainly, on one machine. */
  tls?: FleetTls | null;
  /** A second public listener, for fronts on any host: with certificates both ways. Needs `tls`. */
  front?: { host: string; port: number } | null | undefined;
  /** No other router of the fleet runs on this machine: the public port is shared with nobody. */
  alone?: boolean;
  /**
   * Kills the supervisor that holds the public port, if it is one of this fleet; false when it is not,
   * or nobody knows. Missing: the port is only waited for.
   */
  killHolder?: () => Promise<boolean>;
  /** What stands before this router calls its public port, and not the one for fronts. @default false where there is such */
  balanced?: boolean | undefined;
  /** Health interval of what stands before this router, ms; 0 when nothing does. @default 0 */
  frontIntervalMs?: number;
  /** Wait for running requests when closing, ms; longer where a peer goes on. @default 30000 */
  closeBudgetMs?: number;
  /** How often something moves on a turn or WebSocket between two nodes, ms. @default 15000 */
  aliveMs?: number;
}
