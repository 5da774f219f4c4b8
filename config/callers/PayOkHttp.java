// Pays through the sidecar with OkHttp, and never twice: java -cp okhttp.jar:okio.jar PayOkHttp.java URL EXTERNAL_ID…
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.net.Proxy;
import java.net.URLEncoder;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;

class PayOkHttp {
    static final OkHttpClient CLIENT = new OkHttpClient.Builder()
            .retryOnConnectionFailure(false) // else it repeats a POST when a kept connection dies
            .proxy(Proxy.NO_PROXY)
            .connectTimeout(Duration.ofSeconds(5))
            .readTimeout(Duration.ofSeconds(70)) // longer than the sidecar's own 60 s
            .build();

    /** Calls once. */
    static Answer call(String method, String url, String payment) {
        var body = payment == null ? null : RequestBody.create(MediaType.get("application/json"), payment);
        try (var answer = CLIENT.newCall(new Request.Builder().url(url).method(method, body).build()).execute()) {
            answer.body().string(); // an answer that was cut fails here, not before
            return Answer.of(
                    method,
                    answer.code(),
                    Optional.ofNullable(answer.header("Proxy-Status")),
                    Optional.ofNullable(answer.header("Retry-After")));
        } catch (IOException error) { // no connection, one that died, or an answer that was cut
            System.out.println(method + " " + error);
            return new Answer("unknown", 0, 1);
        }
    }

    /** Pays once: whether Localpayment has the payment is asked before it is sent again, with the same externalId. */
    static boolean pay(String base, String order) throws Exception {
        var payment = "{\"externalId\": \"%s\", \"country\": \"ARG\", \"currency\": \"USD\", \"amount\": 25}".formatted(order);
        var look = base + "/api/transactions/" + URLEncoder.encode(order, UTF_8).replace("+", "%20") + "/status";
        for (var doubt = false; ; ) {
            var answer = call("POST", base + "/api/payin", payment);
            var known = !answer.fate.equals("unknown");
            if (answer.fate.equals("not_sent")) {
                Thread.sleep(1000L * answer.retryAfter); // 503: Localpayment has processed nothing
            } else if (known && (answer.ok() || !doubt)) {
                return answer.ok();
            } else if (found(look)) { // 502, 504, a cut answer, a restart; or a repeat was refused as a duplicate
                return true;
            } else if (known) {
                return false;
            } else {
                doubt = true;
            }
        }
    }

    /** Asks until there is an answer; false when two looks, a pause apart, find nothing: the first may have come early. */
    static boolean found(String look) throws Exception {
        for (int missed = 0, looks = 0; looks < 60; looks++) {
            var answer = call("GET", look, null);
            if (answer.ok()) return true;
            if (answer.fate.equals("answered") && answer.status == 404 && ++missed == 2) return false;
            Thread.sleep(1000);
        }
        throw new IllegalStateException("a person must look: " + look);
    }

    /** What is known of a call; status 0 is no answer. */
    record Answer(String fate, int status, int retryAfter) {
        boolean ok() {
            return status / 100 == 2;
        }

        /** For small bodies, such as a payment's, the sidecar's status alone tells the outcome: 503 is not_sent. */
        static Answer of(String method, int status, Optional<String> proxyStatus, Optional<String> retryAfter) {
            var ours = proxyStatus.orElse("").startsWith("localpayment-proxy;");
            var fate = ours && status == 503 ? "not_sent" : status >= 500 ? "unknown" : ours ? "rejected" : "answered";
            System.out.println(method + " " + status + " " + fate);
            return new Answer(fate, status, Integer.parseInt(retryAfter.orElse("1")));
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (var order : Arrays.asList(arguments).subList(1, arguments.length)) {
            System.out.println(order + (pay(arguments[0], order) ? " paid" : " refused"));
        }
        CLIENT.connectionPool().evictAll();
        CLIENT.dispatcher().executorService().shutdown();
    }
}
