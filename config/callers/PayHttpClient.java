// Pays through the sidecar with the JDK's HttpClient, and never twice: java PayHttpClient.java URL EXTERNAL_ID…
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;

class PayHttpClient {
    // It repeats GET and HEAD by itself, a POST only with -Djdk.httpclient.enableAllMethodRetry: leave that out.
    // HttpURLConnection repeats a POST: use it with -Dsun.net.http.retryPost=false, or not at all.
    static final HttpClient CLIENT =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(5)).build();

    /** Calls once. */
    static Answer call(String method, String url, String payment) throws InterruptedException {
        var body = payment == null ? BodyPublishers.noBody() : BodyPublishers.ofString(payment);
        var request = HttpRequest.newBuilder(URI.create(url)).method(method, body);
        request.header("Content-Type", "application/json").timeout(Duration.ofSeconds(70)); // the sidecar's own are 60
        try {
            var answer = CLIENT.send(request.build(), BodyHandlers.ofString());
            var headers = answer.headers();
            return Answer.of(
                    method, answer.statusCode(), headers.firstValue("Proxy-Status"), headers.firstValue("Retry-After"));
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
    }
}
