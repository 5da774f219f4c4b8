// Pays through the sidecar with net/http, and never twice: go run pay.go URL EXTERNAL_ID…
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Go repeats a POST only if none of it was written, or if it carries Idempotency-Key or X-Idempotency-Key: set neither.
var client = http.Client{
	Timeout:   70 * time.Second,            // longer than the sidecar's own 60 s
	Transport: &http.Transport{Proxy: nil}, // HTTP_PROXY must not lead calls past the sidecar
}

type answer struct {
	fate       string // what is known of the call
	status     int
	retryAfter time.Duration
}

func (a answer) ok() bool { return a.status/100 == 2 }

// call calls once.
func call(method, target string, payment []byte) answer {
	request, err := http.NewRequest(method, target, bytes.NewReader(payment))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil { // no connection, or one that died: *url.Error
		fmt.Printf("%s %T %v\n", method, err, err)
		return answer{fate: "unknown"}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil { // an answer that was cut: io.ErrUnexpectedEOF, or *net.OpError "connection reset by peer"
		fmt.Printf("%s %T %v\n", method, err, err)
		return answer{fate: "unknown"}
	}
	told := answer{fate: "answered", status: response.StatusCode, retryAfter: time.Second}
	if strings.HasPrefix(response.Header.Get("Proxy-Status"), "localpayment-proxy;") {
		var problem struct{ Outcome string }
		if json.Unmarshal(body, &problem) == nil {
			told.fate = problem.Outcome
		}
	} else if told.status >= 500 {
		told.fate = "unknown"
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		told.retryAfter = time.Duration(seconds) * time.Second
	}
	fmt.Println(method, told.status, told.fate)
	return told
}

// pay pays once: whether Localpayment has the payment is asked before it is sent again, with the same externalId.
func pay(base, order string) bool {
	payment, _ := json.Marshal(map[string]any{"externalId": order, "country": "ARG", "currency": "USD", "amount": 25})
	look := base + "/api/transactions/" + url.PathEscape(order) + "/status"
	for doubt := false; ; {
		told := call("POST", base+"/api/payin", payment)
		known := told.fate != "unknown"
		switch {
		case told.fate == "not_sent": // 503: Localpayment has processed nothing
			time.Sleep(told.retryAfter)
		case known && (told.ok() || !doubt):
			return told.ok()
		case found(look): // 502, 504, a cut answer, a restart; or a repeat was refused as a duplicate
			return true
		case known:
			return false
		default:
			doubt = true
		}
	}
}

// found asks until there is an answer; false when two looks, a pause apart, find no such payment: the first may have come early.
func found(look string) bool {
	missed := 0
	for looks := 0; looks < 60; looks++ {
		told := call("GET", look, nil)
		if told.ok() {
			return true
		}
		if told.fate == "answered" && told.status == http.StatusNotFound {
			missed++
		}
		if missed == 2 {
			return false
		}
		time.Sleep(time.Second)
	}
	panic("a person must look: " + look)
}

func main() {
	for _, order := range os.Args[2:] {
		word := "refused"
		if pay(os.Args[1], order) {
			word = "paid"
		}
		fmt.Println(order, word)
	}
}
