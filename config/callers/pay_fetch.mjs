// Pays through the sidecar with Node's fetch, and never twice: node pay_fetch.mjs URL EXTERNAL_ID…
import { setTimeout as wait } from "node:timers/promises";

const pause = (seconds) => wait(seconds * 1000);

// Call once; fetch repeats no POST by itself. `fate` is what is known of the call.
async function call(method, url, payment) {
  try {
    const answer = await fetch(url, {
      method,
      headers: payment && { "Content-Type": "application/json" },
      body: payment && JSON.stringify(payment),
      signal: AbortSignal.timeout(70_000), // longer than the sidecar's own 60 s
    });
    const text = await answer.text(); // an answer that was cut fails here, not before
    const ours = (answer.headers.get("proxy-status") ?? "").startsWith("localpayment-proxy;");
    const fate = ours ? JSON.parse(text).outcome : answer.status < 500 ? "answered" : "unknown";
    console.log(method, answer.status, fate);
    return { fate, status: answer.status, retryAfter: Number(answer.headers.get("retry-after") ?? 1) };
  } catch (error) {
    // "TypeError: fetch failed" without an answer, "TypeError: terminated" for a cut one; the cause has a code.
    console.log(method, error.name, error.message, error.cause?.code ?? "");
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
