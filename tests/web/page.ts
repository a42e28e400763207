// What a portal does: calls Peerage from a page, with @connectrpc/connect-web.
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { AccountAccessService } from "./gen/peerage/v1/account_access_service_pb.js";
import { AccountService } from "./gen/peerage/v1/account_service_pb.js";
import { Decision } from "./gen/peerage/v1/decision_pb.js";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";

type Settings = { url: string; key: string };

async function failure(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "no failure";
  } catch (error) {
    const failed = ConnectError.from(error);
    const reason = failed.findDetails(ErrorInfoSchema)[0]?.reason ?? "no reason";
    return `${Code[failed.code]} ${reason}`;
  }
}

// Every answer that the page gets, as text to compare.
async function ask({ url, key }: Settings): Promise<Record<string, string>> {
  const transport = createGrpcWebTransport({ baseUrl: url });
  const access = createClient(AccountAccessService, transport);
  const accounts = createClient(AccountService, transport);
  const headers = { authorization: `Bearer ${key}` };
  const check = { permission: "accounts.view", account: "accounts/platform" };
  const answers: Record<string, string> = {};
  answers.anonymous = await failure(access.authorize(check));
  if (answers.anonymous.startsWith("Unknown") || answers.anonymous.startsWith("Unavailable")) {
    return answers;
  }
  const decision = await access.authorize(check, { headers, timeoutMs: 20_000 });
  answers.decision = Decision[decision.decision];
  const account = await accounts.getAccount({ name: "accounts/platform" }, { headers });
  answers.account = account.name;
  answers.missing = await failure(accounts.getAccount({ name: "accounts/nowhere" }, { headers }));
  answers.invalid = await failure(accounts.getAccount({ name: "x" }, { headers }));
  return answers;
}

(globalThis as unknown as { ask: typeof ask }).ask = ask;
