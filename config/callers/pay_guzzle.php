<?php
// Pays through the sidecar with Guzzle, and never twice: php pay_guzzle.php URL EXTERNAL_ID…
declare(strict_types=1);

// Composer's autoloader of your project; Debian's php-guzzlehttp-guzzle has one of its own.
require getenv('AUTOLOAD') ?: __DIR__ . '/vendor/autoload.php';

use GuzzleHttp\Client;
use GuzzleHttp\Exception\TransferException;

final class Caller
{
    private Client $client;

    public function __construct(string $base)
    {
        $this->client = new Client([
            'base_uri' => $base,
            'http_errors' => false, // a status is no exception here
            'connect_timeout' => 5,
            'timeout' => 70, // longer than the sidecar's own 60 s
            'proxy' => '', // HTTP_PROXY must not lead calls past the sidecar
            // libcurl repeats even a POST by itself when a kept connection dies: keep none.
            'curl' => [CURLOPT_FRESH_CONNECT => true, CURLOPT_FORBID_REUSE => true],
        ]);
    }

    /** Pays once: whether Localpayment has the payment is asked before it is sent again, with the same externalId. */
    public function pay(array $payment): bool
    {
        $look = '/api/transactions/' . rawurlencode($payment['externalId']) . '/status';
        $doubt = false;
        while (true) {
            [$fate, $status, $retryAfter] = $this->call('POST', '/api/payin', $payment);
            $ok = intdiv($status, 100) === 2;
            if ($fate === 'not_sent') { // 503: Localpayment has processed nothing
                sleep($retryAfter);
                continue;
            }
            if ($fate !== 'unknown' && ($ok || !$doubt)) {
                return $ok;
            }
            if ($this->found($look)) { // 502, 504, a cut answer, a restart; or a repeat was refused as a duplicate
                return true;
            }
            if ($fate !== 'unknown') {
                return false;
            }
            $doubt = true;
        }
    }

    /** Asks until there is an answer; false when two looks, a pause apart, find nothing: the first may have come early. */
    private function found(string $look): bool
    {
        for ($missed = 0, $looks = 0; $looks < 60; $looks++) {
            [$fate, $status] = $this->call('GET', $look);
            if ($status === 200) {
                return true;
            }
            if ($fate === 'answered' && $status === 404 && ++$missed === 2) {
                return false;
            }
            sleep(1);
        }
        throw new RuntimeException("a person must look: $look");
    }

    /** Calls once; returns what is known of the call, the status (0: no answer), and the seconds of Retry-After. */
    private function call(string $method, string $path, ?array $payment = null): array
    {
        try {
            $answer = $this->client->request($method, $path, $payment === null ? [] : ['json' => $payment]);
        } catch (TransferException $error) { // no connection, one that died, or an answer that was cut
            echo $method, ' ', (new ReflectionClass($error))->getShortName(), ' ', $error->getMessage(), "\n";
            return ['unknown', 0, 1];
        }
        $status = $answer->getStatusCode();
        $ours = str_starts_with($answer->getHeaderLine('Proxy-Status'), 'localpayment-proxy;');
        $fate = $ours ? json_decode((string) $answer->getBody(), true)['outcome'] : ($status < 500 ? 'answered' : 'unknown');
        echo "$method $status $fate\n";
        return [$fate, $status, max(1, (int) $answer->getHeaderLine('Retry-After'))];
    }
}

$caller = new Caller($argv[1]);
foreach (array_slice($argv, 2) as $order) {
    $paid = $caller->pay(['externalId' => $order, 'country' => 'ARG', 'currency' => 'USD', 'amount' => 25]);
    echo $order, $paid ? ' paid' : ' refused', "\n";
}
