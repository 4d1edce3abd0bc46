import { frontBehaviour } from "../../../support/front/behaviour.ts";
import { caddyKind } from "../../../support/front/caddy.ts";

frontBehaviour(caddyKind);
