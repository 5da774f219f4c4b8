#!/usr/bin/env bash
# Pays through the sidecar with curl, and never twice: pay.sh URL EXTERNAL_ID…   (plain names only: nothing is escaped here)
set -uo pipefail
base=$1
shift
head=$(mktemp)
trap 'rm -f "$head"' EXIT

# Call once, and set status, fate and retry_after. Never --retry: it repeats a POST at 408, 429, 500, 502, 503, 504 and
# at a time-out. One command makes one connection, so that none dies under a call.
call() {
  status=$(curl --silent --noproxy '*' --connect-timeout 5 --max-time 70 --output /dev/null --dump-header "$head" \
    --write-out '%{http_code}' --request "$@")
  local ended=$?
  retry_after=$(sed -n 's/^retry-after: *\([0-9]*\).*/\1/Ip' "$head")
  if ((ended)); then # 7: no connection, 52: no answer, 18 and 56: an answer that was cut
    fate=unknown
    echo "$1 curl $ended"
    return
  fi
  # For small bodies, such as a payment's, the sidecar's status alone tells the outcome: 503 is not_sent.
  if grep -qi '^proxy-status: localpayment-proxy;' "$head"; then ours=1; else ours=; fi
  if [[ $ours && $status == 503 ]]; then fate=not_sent; elif ((status >= 500)); then fate=unknown; else fate=${ours:+rejected}; fi
  fate=${fate:-answered}
  echo "$1 $status $fate"
}

# Ask until there is an answer; fail when two looks, a pause apart, find nothing: the first may have come early.
found() {
  local missed=0 looks
  for ((looks = 0; looks < 60; looks++)); do
    call GET "$base/api/transactions/$1/status"
    [[ $status == 200 ]] && return 0
    [[ $status == 404 && $fate == answered ]] && ((++missed == 2)) && return 1
    sleep 1
  done
  echo "a person must look for $1" >&2
  exit 1
}

# Pay once: whether Localpayment has the payment is asked before it is sent again, with the same externalId.
pay() {
  local doubt='' was
  while :; do
    call POST "$base/api/payin" --header 'Content-Type: application/json' \
      --data "{\"externalId\": \"$1\", \"country\": \"ARG\", \"currency\": \"USD\", \"amount\": 25}"
    was=$fate
    if [[ $was == not_sent ]]; then # 503: Localpayment has processed nothing
      sleep "${retry_after:-1}"
    elif [[ $was != unknown && ($status == 2?? || ! $doubt) ]]; then
      [[ $status == 2?? ]]
      return
    elif found "$1"; then # 502, 504, a cut answer, a restart; or a repeat was refused as a duplicate
      return 0
    elif [[ $was != unknown ]]; then
      return 1
    else
      doubt=1
    fi
  done
}

for order; do
  if pay "$order"; then echo "$order paid"; else echo "$order refused"; fi
done
