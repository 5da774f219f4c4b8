# Pays through the sidecar with net/http, and never twice: ruby pay.rb URL EXTERNAL_ID…
require "json"
require "net/http"

base = URI(ARGV.shift)
HTTP = Net::HTTP.new(base.host, base.port, nil) # nil: HTTP_PROXY must not lead calls past the sidecar
HTTP.max_retries = 0 # it would repeat GET, PUT and DELETE by itself
HTTP.open_timeout = 5
HTTP.read_timeout = 70 # longer than the sidecar's own 60 s
HTTP.keep_alive_timeout = 30

Answer = Struct.new(:fate, :status, :retry_after) do
  def ok? = (200..299).cover?(status)
end

# Calls once; the fate is what is known of the call.
def call(method, path, payment = nil)
  HTTP.start unless HTTP.started?
  request = Net::HTTPGenericRequest.new(method, !payment.nil?, true, path, "Content-Type" => "application/json")
  answer = HTTP.request(request, payment&.to_json)
  ours = answer["Proxy-Status"].to_s.start_with?("localpayment-proxy;")
  status = answer.code.to_i
  fate = ours ? JSON.parse(answer.body)["outcome"] : (status < 500 ? "answered" : "unknown")
  puts "#{method} #{status} #{fate}"
  Answer.new(fate, status, answer["Retry-After"].to_i)
rescue SystemCallError, IOError, Timeout::Error, Net::HTTPBadResponse => error # no connection, a dead one, a cut answer
  HTTP.finish if HTTP.started?
  puts "#{method} #{error.class}"
  Answer.new("unknown", 0, 0)
end

# Pays once: whether Localpayment has the payment is asked before it is sent again, with the same externalId.
def pay(payment)
  look = "/api/transactions/#{URI.encode_www_form_component(payment[:externalId]).gsub("+", "%20")}/status"
  doubt = false
  loop do
    answer = call("POST", "/api/payin", payment)
    known = answer.fate != "unknown"
    if answer.fate == "not_sent" # 503: Localpayment has processed nothing
      sleep [answer.retry_after, 1].max
    elsif known && (answer.ok? || !doubt)
      return answer.ok?
    elsif found?(look) # 502, 504, a cut answer, a restart; or a repeat was refused as a duplicate
      return true
    elsif known
      return false
    else
      doubt = true
    end
  end
end

# Asks until there is an answer; false when two looks, a pause apart, find no such payment: the first may have come early.
def found?(look)
  missed = 0
  60.times do
    answer = call("GET", look)
    return true if answer.ok?

    missed += 1 if answer.fate == "answered" && answer.status == 404
    return false if missed == 2

    sleep 1
  end
  raise "a person must look: #{look}"
end

$stdout.sync = true
ARGV.each do |order|
  paid = pay({ externalId: order, country: "ARG", currency: "USD", amount: 25 })
  puts "#{order} #{paid ? "paid" : "refused"}"
end
