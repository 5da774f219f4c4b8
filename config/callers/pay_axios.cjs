// Pays through the sidecar with axios, and never twice: node pay_axios.cjs URL EXTERNAL_ID…
const axios = require("axios");

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
// axios repeats nothing by itself; axios-retry does not repeat a POST, unless its retryCondition says so.
const client = axios.create({
  timeout: 70_000, // longer than the sidecar's own 60 s
  validateStatus: () => true, // a status is no exception here
  proxy: false, // HTTP_PROXY must not lead calls past the sidecar
});

// Call once; `fate` is what is known of the call.
async function call(method, url, data) {
  try {
    const answer = await client.request({ method, url, data });
    const ours = (answer.headers["proxy-status"] ?? "").startsWith("localpayment-proxy;");
    const fate = ours ? answer.data.outcome : answer.status < 500 ? "answered" : "unknown";
    console.log(method, answer.status, fate);
    return { fate, status: answer.status, retryAfter: Number(answer.headers["retry-after"] ?? 1) };
  } catch (error) {
    console.log(method, error.name, error.code ?? "", error.message);
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

async function main(base, ...orders) {
  for (const externalId of orders) {
    const paid = await pay(base, { externalId, country: "ARG", currency: "USD", amount: 25 });
    console.log(externalId, paid ? "paid" : "refused");
  }
}

main(...process.argv.slice(2));
