// SecretService, and the hand-out of a secret to the attempt that needs it.
import { create } from "@bufbuild/protobuf";
import { secretFields } from "../../proto/filter/fields.ts";
import type { GetSecretRequest } from "../../proto/gen/muster/v1/agent_pb.ts";
import { SecretRecordSchema } from "../../proto/gen/muster/v1/record_pb.ts";
import { type Secret, SecretSchema, SecretService } from "../../proto/gen/muster/v1/secret_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Decision } from "../domain/decision.ts";
import { planIndex } from "../domain/plan-index.ts";
import { usersOf } from "../domain/removal.ts";
import { deploymentsNeeding, isTypable, needsSecret } from "../domain/secret-use.ts";
import type { State } from "../domain/state.ts";
import { isActive } from "../domain/step-book.ts";
import { SecretError } from "../drivers/secret-vault.ts";
import { type ApiContext, byName, checkEtag, notFound, refused } from "./context.ts";
import type { Mutations } from "./mutations.ts";
import { pageOf } from "./pages.ts";

export function secretService(
  { engine, store, secrets }: ApiContext,
  mutations: Mutations,
): Handlers<typeof SecretService> {
  const { method } = SecretService;
  return {
    setSecret: (request) => {
      const { name, content } = request;
      const { nonce, sealed } = secrets.seal(name, content);
      // The plain digest of a request is stored, and would let a guessed content be checked.
      const asked = { ...request, content: secrets.digest(content) };
      return mutations.decide(method.setSecret, asked, (decision) => {
        const { state, now, revision } = decision;
        const known = state.secrets.get(name)?.secret;
        const [using] = known ? deploymentsNeeding(state, name) : [];
        if (using) {
          throw refused(
            "BUSY",
            `deployment ${using.name} is using secret ${name}: wait for it or stop it first`,
          );
        }
        const secret = create(SecretSchema, {
          name,
          sizeBytes: content.length,
          typable: isTypable(content),
          createTime: known?.createTime ?? now,
          updateTime: now,
          revision,
          etag: `${revision}`,
        });
        decision.change({ secret: create(SecretRecordSchema, { secret, nonce, sealed }) });
        tell(decision, name, "SECRET_SET", known ? "replaced by the operator" : "set by the operator");
        return { secret, created: !known };
      });
    },
    listSecrets: async (request) => {
      const { items, nextPageToken } = await pageOf(request, {
        method: method.listSecrets,
        schema: SecretSchema,
        fields: secretFields,
        items: byName([...engine.state.secrets.values()].flatMap(({ secret }) => secret ?? [])),
        key: ({ name }) => name,
      });
      return { secrets: items, revision: store.revision, nextPageToken };
    },
    deleteSecret: (request) =>
      mutations.decide(method.deleteSecret, request, (decision) => {
        const { name } = find(decision.state, request.name);
        checkEtag(request.etag, `secret ${name}`, find(decision.state, name));
        const users = usersOf(decision.state, `secret/${name}`);
        if (users.length) {
          throw refused(
            "IN_USE",
            `secret ${name} is named by ${users.join(", ")}: change or delete that first`,
          );
        }
        if (request.validateOnly) return {};
        decision.change({ forgetSecret: name });
        tell(decision, name, "SECRET_DELETED", "deleted by the operator");
        return {};
      }),
  };
}

/** The content of a secret for a node, whose attempt must need it now. */
export function handOutSecret(
  {
    engine,
    secrets,
    log,
  }: Pick<ApiContext, "engine" | "log"> & { secrets: Pick<ApiContext["secrets"], "open"> },
  node: string,
  { token, name }: GetSecretRequest,
): { content: Uint8Array } {
  const { state } = engine;
  const step = state.step(token.slice(0, token.lastIndexOf("/")));
  if (!step || step.node !== node || step.token !== token || !isActive(step)) {
    throw denied(`no attempt ${token} runs on ${node}: secrets are for running attempts of the node itself`);
  }
  const { steps } = planIndex(state.deployments.get(step.deployment)?.plan);
  if (!needsSecret(steps.get(`${step.node}/${step.task}`), name)) {
    throw denied(`the plan of ${step.name} names no secret ${name}`);
  }
  const record = state.secrets.get(name);
  if (!record) {
    const message = `the secret ${name} is not stored any more: \`muster secret set ${name}\`, then retry`;
    throw new RpcError(codes.NOT_FOUND, message, { reason: "NOT_FOUND", metadata: { name } });
  }
  try {
    const content = secrets.open(record);
    log.info({ node, attempt: token, secret: name }, "a secret was handed out");
    return { content };
  } catch (error) {
    if (!(error instanceof SecretError)) throw error;
    throw new RpcError(codes.DATA_LOSS, error.message, { reason: "SECRET_UNREADABLE", cause: error });
  }
}

function denied(message: string): RpcError {
  return new RpcError(codes.PERMISSION_DENIED, message, { reason: "SECRET_DENIED" });
}

function tell(decision: Decision, name: string, reason: string, message: string): void {
  decision.event(Event_Severity.INFO, `secret/${name}`, reason, message);
}

function find(state: State, name: string): Secret {
  const secret = state.secrets.get(name)?.secret;
  if (!secret) throw notFound("secret", name);
  return secret;
}
