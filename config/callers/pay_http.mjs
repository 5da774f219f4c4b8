// Pays through the sidecar with node:http, and never twice: node pay_http.mjs URL EXTERNAL_ID…
import http from "node:http";
import { setTimeout as wait } from "node:timers/promises";

const agent = new http.Agent({ keepAlive: true });
const pause = (seconds) => wait(seconds * 1000);

// Send a request; node:http repeats nothing by itself. An answer that was cut is "aborted", with the code ECONNRESET.
const send = (method, url, payment) =>
  new Promise((resolve, reject) => {
    const headers = payment && { "Content-Type": "application/json" };
    const request = http.request(url, { agent, method, headers, timeout: 70_000 }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (piece) => (text += piece));
      answer.on("error", reject);
      answer.on("end", () => resolve({ answer, text }));
    });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("no answer in 70 s"))); // longer than the sidecar's own 60 s
    request.end(payment && JSON.stringify(payment));
  });

// Call once; `fate` is what is known of the call.
async function call(method, url, payment) {
  try {
    const { answer, text } = await send(method, url, payment);
    const ours = (answer.headers["proxy-status"] ?? "").startsWith("localpayment-proxy;");
    const fate = ours ? JSON.parse(text).outcome : answer.statusCode < 500 ? "answered" : "unknown";
    console.log(method, answer.statusCode, fate);
    return { fate, status: answer.statusCode, retryAfter: Number(answer.headers["retry-after"] ?? 1) };
  } catch (error) {
    console.log(method, error.name, error.message, error.code ?? "");
    return { fate: "unknown", status: 0 };
  }
}

// Pay once: whether Localpayment has the payment is asked before it is sent again, with the same externalId.
async function pay(base, payment) {
  const look = `${base}/api/transactions/${encodeURIComponent(payment.externalId)}/status`;
  for (let doubt = false; ; ) {
    const answer = await call("POST", `${base}/api/payin`, payment);
    const ok = answer.status >= 200 && answer.status < 300;
    if (answer.fate === "not_sent") {
      await pause(answer.retryAfter); // 503: Localpayment has processed nothing
      continue;
    }
    const known = answer.fate !== "unknown";
    if (known && (ok || !doubt)) return ok;
    if (await found(look)) return true; // 502, 504, a cut answer, a restart; or a repeat was refused as a duplicate
    if (known) return false;
    doubt = true;
  }
}

// Ask until there is an answer; false when two looks, a pause apart, find no such payment: the first may have come early.
async function found(look) {
  for (let missed = 0, looks = 0; looks < 60; looks++) {
    const answer = await call("GET", look);
    if (answer.status === 200) return true;
    if (answer.fate === "answered" && answer.status === 404 && ++missed === 2) return false;
    await pause(1);
  }
  throw new Error(`a person must look: ${look}`);
}

const [base, ...orders] = process.argv.slice(2);
for (const externalId of orders) {
  const paid = await pay(base, { externalId, country: "ARG", currency: "USD", amount: 25 });
  console.log(externalId, paid ? "paid" : "refused");
}
agent.destroy();
